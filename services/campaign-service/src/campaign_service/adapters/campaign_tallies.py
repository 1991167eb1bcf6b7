"""How many campaigns an org has, by status and type, without counting them and without a hot document.

Mental model: a ledger. Whoever adds, moves or erases a campaign inserts a row {org, cell: +1 or -1}
in the same transaction; the sum of the org's rows is the number of its campaigns in every snapshot.
Inserts never conflict, as increments of one counter document would. A reader that meets many rows
replaces them by their sum, in one transaction: before and after, the sum is the same. Two such
folds of the same rows conflict, and one gives up.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from bson import ObjectId
from contracts.events.campaign import CampaignStatus, CampaignType
from pymongo.errors import PyMongoError
from service_kit.mongo.client import Database, Document, Session

COLLECTION = "campaign_tallies"
ROWS_TO_FOLD = 256
ROWS_OF_ONE_FOLD = 1_000

Cell = tuple[str, str]
"""A campaign's status and type."""
Tallies = Mapping[Cell, int]


def cell_of(status: CampaignStatus, type_: CampaignType) -> Cell:
    """Where a campaign with these is counted."""
    return status, type_


def tally_document(org: str, counts: Tallies) -> Document:
    """A row of the ledger that adds `counts`."""
    cells = {"|".join(cell): number for cell, number in counts.items() if number}
    return {"_id": ObjectId(), "org": org, "cells": cells}


class MongoTallies:
    """The ledger of one database's campaigns."""

    def __init__(self, database: Database) -> None:
        self._client = database.client
        self._rows = database[COLLECTION]

    async def prepare(self) -> None:
        """Create the index by which an org's rows are read."""
        await self._rows.create_index([("org", 1), ("_id", 1)])

    async def note(self, session: Session, org: str, *, left: Cell | None, entered: Cell | None) -> None:
        """Keep that a campaign left a cell, entered one, or both, in the transaction of `session`."""
        if left == entered:
            return
        change: Counter[Cell] = Counter()
        if left is not None:
            change[left] -= 1
        if entered is not None:
            change[entered] += 1
        await self._rows.insert_one(tally_document(org, change), session=session)

    async def read(self, org: str, session: Session) -> tuple[Tallies, int]:
        """The org's campaigns by cell in the snapshot of `session`, and how many rows that took."""
        rows = await self._rows.find({"org": org}, {"cells": True}, session=session).to_list(None)
        return _sum(rows), len(rows)

    async def fold(self, org: str) -> None:
        """Replace the org's rows by their sum. Leaves it to somebody else who does it at this moment."""
        async with await self._client.start_session() as session:
            while True:
                try:
                    async with session.start_transaction():
                        folded = await self._fold_some(org, session)
                except PyMongoError as error:
                    if error.has_error_label("TransientTransactionError"):
                        return  # another reader folds the same rows, or the next one will
                    raise
                if folded < ROWS_OF_ONE_FOLD:
                    return

    async def _fold_some(self, org: str, session: Session) -> int:
        found = self._rows.find({"org": org}, session=session).sort("_id", 1).limit(ROWS_OF_ONE_FOLD)
        rows = await found.to_list(ROWS_OF_ONE_FOLD)
        if len(rows) > 1:
            ids = [row["_id"] for row in rows]
            await self._rows.delete_many({"_id": {"$in": ids}}, session=session)
            await self._rows.insert_one(tally_document(org, _sum(rows)), session=session)
        return len(rows)


def _sum(rows: list[dict[str, Any]]) -> Tallies:
    total: Counter[Cell] = Counter()
    for row in rows:
        for name, number in row["cells"].items():
            status, type_ = name.split("|")
            total[status, type_] += number
    return {cell: number for cell, number in total.items() if number}
