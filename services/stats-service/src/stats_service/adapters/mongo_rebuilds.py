"""How far a book is that is being made, and by whom.

rebuilds   {_id: `<book>/<topic>:<partition>`, offset}; {_id: `<campaign>~`, maker}

The maker's row is a fence: every transaction of whoever counts a campaign again writes it, and fails when
somebody else has begun since. It is made once for a campaign and stays, so that there is always a row to
meet at.
"""

from contextlib import suppress
from typing import Final

from contracts.ids import new_id
from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.book_keys import book_of
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.ports import Partition
from stats_service.application.ports_rebuild import Superseded

REBUILDS: Final = "rebuilds"


class Maker:
    """One of those who count `campaign` again: of them only who began last changes anything."""

    def __init__(self, database: Database, campaign: str) -> None:
        self._rebuilds = database[REBUILDS]
        self._row = {"_id": book_of(campaign, 0).removesuffix("0")}
        self._mine = self._row | {"maker": new_id("job")}

    async def prepare(self) -> None:
        """See to it that there is a row."""
        with suppress(DuplicateKeyError):
            await self._rebuilds.update_one(self._row, {"$setOnInsert": {"maker": ""}}, upsert=True)

    async def begin(self, tx: Tx) -> None:
        """From this transaction on nobody else changes anything."""
        change = {"$set": {"maker": self._mine["maker"]}}
        await self._rebuilds.update_one(self._row, change, session=session_of(tx))

    async def alone(self, tx: Tx) -> None:
        """Let `tx` fail if somebody else begins before it is done. Raises Superseded if somebody has."""
        changed = await self._rebuilds.update_one(self._mine, {"$inc": {"moves": 1}}, session=session_of(tx))
        if changed.matched_count != 1:
            raise Superseded


class MongoMaking(MongoPositions):
    """The positions of `book`, which `maker` makes."""

    def __init__(self, database: Database, book: str, maker: Maker) -> None:
        super().__init__(database, collection=REBUILDS, prefix=f"{book}/")
        self._maker = maker

    async def move(self, tx: Tx, partition: Partition, *, before: int, after: int) -> None:
        """Compare and set. Raises PositionMoved, and Superseded when somebody else has begun since."""
        await self._maker.alone(tx)
        await super().move(tx, partition, before=before, after=after)
