"""An aggregator in the test's own process, on a real database and a log that is easy to cut."""

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from service_kit.clock import SystemClock
from service_kit.kafka.consumer import RetryPolicy
from service_kit.mongo.transactions import MongoTransactions
from stats_service.adapters.book_keys import book_of
from stats_service.adapters.mongo_books import MongoBooks
from stats_service.adapters.mongo_ledger import BOOK_COLLECTIONS, MongoLedger
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.adapters.mongo_rebuilds import REBUILDS, Maker, MongoMaking
from stats_service.application.fold_batch import fold_batches
from stats_service.application.ports import Partition, Record
from stats_service.application.rebuild_book import Rebuild, Rebuilt
from stats_service.entrypoints.aggregator import Aggregator
from stats_service.entrypoints.patience import Progress

WEEK = timedelta(days=7)


@dataclass
class CutTail:
    """`Desk`'s log, followed."""

    log: Any
    at: dict[Partition, int]

    async def rest(self) -> AsyncIterator[tuple[Partition, list[Record]]]:
        for partition, (start, end) in (await self.log.bounds(())).items():
            at = max(start, self.at.get(partition, 0))
            for first in range(at, end, 50):
                yield partition, self.log.kept[partition][first : min(first + 50, end)]
            self.at[partition] = end


@dataclass
class Desk:
    """An aggregator in this process on a real database, and a log that is easy to cut."""

    database: Any
    log: Any
    shelf: Any
    parked: list[Any] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.transactions = MongoTransactions(self.database.client, timeout=15)
        self.positions = MongoPositions(self.database)
        self.ledger = MongoLedger(self.database, clock=SystemClock())

    def publish(self, messages: Iterable[Any]) -> None:
        for message in messages:
            partition = Partition(message.topic, sum(message.key.encode()) % 2)
            kept = self.log.kept.setdefault(partition, [])
            at_ms = int(SystemClock().now().timestamp() * 1000)
            kept.append(Record(*partition, len(kept), message.key.encode(), message.body, at_ms))

    async def fold(self, ledger: Any = None) -> None:
        """Count everything that was published."""

        async def park(record: Record, reason: str) -> None:
            self.parked.append(record)

        fold = partial(
            fold_batches,
            transactions=self.transactions,
            positions=self.positions,
            ledger=ledger or self.ledger,
            attribution=WEEK,
        )
        folding = Aggregator(
            fold,
            positions=self.positions,
            topics_log=self.log,
            park=park,
            clock=SystemClock(),
            retry=RetryPolicy(first_seconds=0.01, most_seconds=0.1, max_attempts=3),
            progress=Progress(),
        )
        for partition, (_, end) in (await self.log.bounds(())).items():
            await folding.fill(partition, end)

    @asynccontextmanager
    async def follow(self) -> AsyncIterator[CutTail]:
        yield CutTail(self.log, dict.fromkeys(self.log.kept, self.log.start))

    async def rebuild(self, campaign: str, mortal: Callable[[Any], Any] = lambda part: part) -> Rebuilt:
        """Count the campaign again; `mortal` may wrap each part that the rebuild works with."""
        maker = Maker(self.database, campaign)
        books = mortal(MongoBooks(self.database, self.transactions, maker))
        holding = await books.begin(campaign)
        assert holding is not None
        following = holding.version + 1
        rebuild = Rebuild(
            campaign,
            holding,
            books=books,
            transactions=mortal(self.transactions),
            positions=mortal(MongoMaking(self.database, book_of(campaign, following), maker)),
            ledger=MongoLedger(self.database, clock=SystemClock(), into={campaign: following}),
            live=mortal(self.positions),
            attribution=WEEK,
        )
        return await rebuild.run(self.follow)

    async def rows_outside(self, campaign: str) -> list[str]:
        """Keys of what belongs to another book of the campaign than the one that holds."""
        book = await self.shelf.book_of(campaign)
        every = book.rpartition("~")[0] + "~"
        names = (REBUILDS, *BOOK_COLLECTIONS)  # but the row of makers, which stays
        ids = [row["_id"] for name in names async for row in self.database[name].find({}, {"_id": 1})]
        return [
            key for key in ids if key.startswith(every) and key != every and not key.startswith(f"{book}/")
        ]


@pytest.fixture
async def desk(mongo_database: Any, topics_log: Any, shelf_of: Any) -> Desk:
    topics_log.piece = 50
    desk = Desk(mongo_database, topics_log, shelf_of(mongo_database))
    await desk.ledger.prepare()
    return desk
