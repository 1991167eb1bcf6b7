"""Reading the numbers in MongoDB: for answers, and for announcements.

prices     {_id: org, costPerMessage, revision, dirty}: written by MongoLedger
"""

from collections.abc import Sequence
from datetime import datetime

from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.application.ports import Announced, NewPrice, Owner
from stats_service.domain.numbers import Counts, Numbers, Tasks


class MongoNumbers:
    """The numbers of one database, as MongoLedger wrote them."""

    def __init__(self, database: Database) -> None:
        self._numbers = database["numbers"]
        self._campaigns = database["campaigns"]
        self._prices = database["prices"]

    async def owner_of(self, campaign: str) -> Owner | None:
        """Whose the campaign is; None while no event told of it."""
        row = await self._campaigns.find_one({"_id": campaign}, {"org": 1, "deleted": 1})
        return None if row is None else Owner(row["org"], row.get("deleted", False))

    async def counts(self, campaign: str) -> Counts:
        """The campaign's counts, zeros when there are none."""
        row = await self._numbers.find_one({"_id": campaign})
        return Counts() if row is None else _counts(row)

    async def due(self, before: datetime, limit: int) -> Sequence[str]:
        """Campaigns that are marked and were told of last at or before `before`."""
        rows = self._numbers.find({"dirty": True, "announcedAt": {"$lte": before}}, {"_id": 1})
        return [row["_id"] for row in await rows.limit(limit).to_list(None)]

    async def take(self, tx: Tx, campaign: str, now: datetime) -> Announced | None:
        """Take the mark off, compare-and-set on the revision; None when there is no mark to take."""
        session = session_of(tx)
        row = await self._numbers.find_one({"_id": campaign, "dirty": True}, session=session)
        if row is None:
            return None
        taken = await self._numbers.update_one(
            {"_id": campaign, "dirty": True, "revision": row["revision"]},
            {"$set": {"dirty": False, "announcedAt": now}},
            session=session,
        )
        if taken.matched_count != 1:
            return None
        tasks = Tasks(row["tasksTotal"], row["tasksCompleted"], row["tasksFailed"])
        price = await self._prices.find_one({"_id": row["org"]}, session=session)
        cost = price["costPerMessage"] if price else 0.0
        return Announced(campaign, row["revision"], Numbers(row["org"], _counts(row), tasks), cost)

    async def changed(self, limit: int) -> Sequence[NewPrice]:
        """Prices that not all campaigns of their organisations show yet."""
        rows = await self._prices.find({"dirty": True}, {"revision": 1}).limit(limit).to_list(None)
        return [NewPrice(row["_id"], row["revision"]) for row in rows]

    async def spread(self, price: NewPrice) -> None:
        """Mark the organisation's campaigns to be told of, then take the price's own mark off.

        Each row by itself, for they may be many: a death in between leaves the mark, and all are marked
        again. Who takes a campaign's mark at the same time writes the same row, so it sees the new price or
        repeats; a newer price keeps its mark.
        """
        await self._numbers.update_many(
            {"org": price.org}, {"$set": {"dirty": True}, "$inc": {"revision": 1}}
        )
        seen = {"_id": price.org, "revision": price.revision}
        await self._prices.update_one(seen, {"$set": {"dirty": False}})


def _counts(row: Document) -> Counts:
    return Counts(
        sent=row["sent"],
        delivered=row["delivered"],
        failed=row["failed"],
        skipped=row["skipped"],
        unknown=row["unknown"],
    )
