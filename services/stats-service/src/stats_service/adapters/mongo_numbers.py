"""Reading totals in MongoDB (see `book_keys`): for answers, and for announcements."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from service_kit.mongo.client import Database, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.book_keys import NUMBERS, TOTALS, book_of, total_key
from stats_service.adapters.mongo_registry import CAMPAIGNS, PRICES
from stats_service.application.ports import Announced, NewPrice, Owner
from stats_service.domain.dimensions import ALL


class MongoNumbers:
    """The numbers of one database, as MongoLedger wrote them."""

    def __init__(self, database: Database) -> None:
        self._numbers = database[NUMBERS]
        self._totals = database[TOTALS]
        self._campaigns = database[CAMPAIGNS]
        self._prices = database[PRICES]

    async def owner_of(self, campaign: str) -> Owner | None:
        """Whose the campaign is; None while no event told of it."""
        row = await self._campaigns.find_one({"_id": campaign}, {"org": 1, "deleted": 1})
        return None if row is None else Owner(row["org"], row.get("deleted", False))

    async def totals(self, campaign: str) -> Mapping[str, int]:
        """The totals of the whole campaign, by metric; absent means 0."""
        row = await self._numbers.find_one({"_id": campaign}, {"version": 1})
        return {} if row is None else await self._all(campaign, row["version"], None)

    async def _all(self, campaign: str, version: int, session: Session | None) -> Mapping[str, int]:
        key = total_key(book_of(campaign, version), ALL)
        row = await self._totals.find_one({"_id": key}, {"_id": 0}, session=session)
        return row or {}

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
        totals = await self._all(campaign, row["version"], session)
        price = await self._prices.find_one({"_id": row["org"]}, session=session)
        cost = price["costPerMessage"] if price else 0.0
        return Announced(campaign, row["org"], row["revision"], totals, cost)

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
