"""Reading totals in MongoDB (see `book_keys`): for answers, and for announcements."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.book_keys import NUMBERS, TOTALS, book_of, total_key
from stats_service.adapters.mongo_registry import CAMPAIGNS, PRICES, rows_of
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
        if row is None:
            return {}
        key = total_key(book_of(campaign, row["version"]), ALL)
        return await self._totals.find_one({"_id": key}, {"_id": 0}) or {}

    async def due(self, before: datetime, limit: int) -> Sequence[str]:
        """Campaigns that are marked and were told of last at or before `before`."""
        rows = self._numbers.find({"dirty": True, "announcedAt": {"$lte": before}}, {"_id": 1})
        return [row["_id"] for row in await rows.limit(limit).to_list(None)]

    async def take(
        self, tx: Tx, campaigns: Sequence[str], now: datetime, *, before: datetime
    ) -> Sequence[Announced]:
        """Take off the marks of those that are marked and were told of last at or before `before`.

        Whoever changes a row meanwhile, another replica or the fold, conflicts, and one of them repeats.
        """
        session = session_of(tx)
        due = {"_id": {"$in": list(campaigns)}, "dirty": True, "announcedAt": {"$lte": before}}
        rows = await self._numbers.find(due, session=session).to_list(None)
        if not rows:
            return []
        taken = {"_id": {"$in": [row["_id"] for row in rows]}}
        told = {"$set": {"dirty": False, "announcedAt": now}}
        await self._numbers.update_many(taken, told, session=session)
        keys = {row["_id"]: total_key(book_of(row["_id"], row["version"]), ALL) for row in rows}
        totals = {row.pop("_id"): row for row in await rows_of(self._totals, keys.values(), session)}
        prices = await rows_of(self._prices, {row["org"] for row in rows}, session)
        costs = {price["_id"]: price["costPerMessage"] for price in prices}
        return [
            Announced(
                row["_id"],
                row["org"],
                row["revision"],
                totals.get(keys[row["_id"]], {}),
                costs.get(row["org"], 0.0),
            )
            for row in rows
        ]

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
