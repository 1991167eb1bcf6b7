"""How far a book is that is being made, and by whom.

rebuilds   {_id: `<book>/<topic>:<partition>`, offset}; {_id: `<book>/`, maker}
"""

from typing import Final

from contracts.ids import new_id
from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.ports import Partition
from stats_service.application.ports_rebuild import Superseded

REBUILDS: Final = "rebuilds"


class MongoMaking(MongoPositions):
    """The positions of `book`. Every move changes the maker's row, so makers meet there, one at a time."""

    def __init__(self, database: Database, book: str) -> None:
        super().__init__(database, collection=REBUILDS, prefix=f"{book}/")
        self._rebuilds = database[REBUILDS]
        self._mine = {"_id": f"{book}/", "maker": new_id("job")}

    async def begin(self) -> None:
        """Make the book; nobody else does from now on."""
        await self._rebuilds.replace_one({"_id": self._mine["_id"]}, self._mine, upsert=True)

    async def move(self, tx: Tx, partition: Partition, *, before: int, after: int) -> None:
        """Compare and set. Raises PositionMoved, and Superseded when somebody else has begun it since."""
        changed = await self._rebuilds.update_one(self._mine, {"$inc": {"moves": 1}}, session=session_of(tx))
        if changed.matched_count != 1:
            raise Superseded
        await super().move(tx, partition, before=before, after=after)

    async def end(self, tx: Tx) -> None:
        """The book is made, if `tx` commits: nobody folds into it by these any more."""
        gone = await self._rebuilds.delete_one(self._mine, session=session_of(tx))
        if gone.deleted_count != 1:
            raise Superseded
