"""The books that hold, read to be compared; and when they were compared last.

nights    {_id: "reconciliation", last}
"""

from collections import Counter
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import unquote

from pymongo import ReturnDocument
from service_kit.mongo.client import Database, Document

from stats_service.adapters.book_keys import (
    AFTER,
    DAYS,
    NUMBERS,
    TOTALS,
    book_of,
    kind_range,
    line_and_time,
    line_of_total,
)
from stats_service.adapters.mongo_registry import CAMPAIGNS
from stats_service.adapters.state_rows import SHARDS
from stats_service.application.ports_reconcile import Held, ShardWindows, Written
from stats_service.domain.dimensions import Kind, Line

NIGHT: Final = "reconciliation"


class MongoWrittenBooks:
    """The books of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers = database[NUMBERS]

    async def held(self) -> Mapping[str, Held]:
        """Of every campaign that has numbers."""
        rows = self._numbers.find({}, {"version": 1, "revision": 1})
        return {row["_id"]: _held(row) async for row in rows}

    async def orgs(self) -> Mapping[str, str]:
        """Campaign → whose it is, of those that were told of."""
        return {row["_id"]: row["org"] async for row in self._database[CAMPAIGNS].find({}, {"org": 1})}

    async def held_of(self, campaign: str) -> Held | None:
        """Of one campaign, now."""
        row = await self._numbers.find_one({"_id": campaign}, {"version": 1, "revision": 1})
        return None if row is None else _held(row)

    async def read(self, campaign: str, version: int) -> Written:
        """What the book says."""
        book = book_of(campaign, version)
        totals: Counter[tuple[Line, str]] = Counter()
        days: Counter[tuple[Line, str]] = Counter()
        for kind in Kind:
            start, stop = kind_range(book, kind)
            async for row in self._rows(TOTALS, start, stop):
                line = line_of_total(row.pop("_id"))
                totals.update({(line, metric): count for metric, count in row.items()})
            async for row in self._rows(DAYS, start, stop):
                line, _ = line_and_time(row.pop("_id"))
                for metric, quarters in row.items():
                    days[line, metric] += sum(quarters.values())
        shards = [
            ShardWindows(
                unquote(execution), int(shard), tuple((first, last) for first, last in row["windows"])
            )
            async for row in self._rows(SHARDS, f"{book}/", f"{book}{AFTER}", {"windows": 1})
            for _, execution, shard in [row["_id"].split("/")]
        ]
        return Written(totals, days, shards)

    def _rows(
        self, name: str, start: str, stop: str, fields: Document | None = None
    ) -> AsyncIterator[Document]:
        return self._database[name].find({"_id": {"$gte": start, "$lt": stop}}, fields)


def _held(row: Document) -> Held:
    return Held(row["version"], row["revision"])


class MongoNights:
    """When the books were reconciled last."""

    def __init__(self, database: Database) -> None:
        self._nights = database["nights"]

    async def last(self, now: datetime) -> datetime:
        """`now`, and remembered, when they never were."""
        row = await self._nights.find_one_and_update(
            {"_id": NIGHT}, {"$setOnInsert": {"last": now}}, upsert=True, return_document=ReturnDocument.AFTER
        )
        last: datetime = row["last"]
        return last

    async def done(self, at: datetime) -> None:
        """They were, at this time."""
        await self._nights.update_one({"_id": NIGHT}, {"$set": {"last": at}}, upsert=True)
