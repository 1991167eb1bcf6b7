"""One suite for the fake and for MongoDB: position, numbers and names of facts move together or not at all."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from service_kit.clock import SystemClock
from service_kit.mongo.transactions import MongoTransactions
from service_kit.ports import Tx
from service_kit.testing.fakes import InMemoryTransactions
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.fold_batch import Batch, Folded, fold_batch
from stats_service.application.ports import Partition, PositionMoved
from stats_service.application.read_fact import read_fact
from stats_service.domain.facts import Fact
from stats_service.domain.fold import Changes
from stats_service.domain.numbers import Counts

pytestmark = pytest.mark.integration

PARTITION = Partition("delivery-events", 3)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Store:
    """The ports of one database."""

    transactions: Any
    positions: Any
    ledger: Any
    numbers: Any

    async def fold(self, batch: Batch) -> Folded:
        await self.positions.read(batch.partition)
        return await fold_batch(
            batch, transactions=self.transactions, positions=self.positions, ledger=self.ledger
        )


@pytest.fixture(params=["fake", "mongo"])
async def store(request: pytest.FixtureRequest, stats: Any, mongo_database: Any) -> Store:
    if request.param == "fake":
        return Store(InMemoryTransactions(), stats, stats, stats)
    return await _mongo(mongo_database)


async def _mongo(database: Any) -> Store:
    ledger = MongoLedger(database, clock=SystemClock())
    await ledger.prepare()
    transactions = MongoTransactions(database.client, timeout=10)
    return Store(transactions, MongoPositions(database), ledger, MongoNumbers(database))


@pytest.fixture
def batch(events: Any) -> Callable[..., Batch]:
    """The windows given, at offsets from `first`."""

    def make(*windows: int, first: int = 0) -> Batch:
        facts: list[tuple[int, Fact]] = []
        for offset, window in enumerate(windows, first):
            fact = read_fact(events.window(window))
            assert fact is not None
            facts.append((offset, fact))
        return Batch(PARTITION, first, first + len(windows) - 1, facts)

    return make


async def test_a_batch_counts_and_moves_the_position(store: Store, batch: Any) -> None:
    assert await store.fold(batch(0, 1, 2)) == Folded(counted=3)
    assert await store.positions.read(PARTITION) == 2
    assert await store.positions.all() == {PARTITION: 2}
    assert await store.numbers.counts("camp_1") == Counts(sent=3, delivered=3)


async def test_a_replayed_batch_changes_nothing(store: Store, batch: Any) -> None:
    await store.fold(batch(0, 1, 2))
    assert await store.fold(batch(0, 1, 2)) == Folded(duplicates=3)
    assert await store.fold(batch(1, 2, 3, first=1)) == Folded(counted=1, duplicates=2)
    assert (await store.numbers.counts("camp_1")).sent == 4


async def test_the_same_windows_at_new_offsets_change_only_the_position(store: Store, batch: Any) -> None:
    await store.fold(batch(0, 1, 3))
    assert await store.fold(batch(3, 1, 2, first=3)) == Folded(counted=1, duplicates=2)
    assert await store.positions.read(PARTITION) == 5
    assert (await store.numbers.counts("camp_1")).sent == 4


async def test_a_batch_that_does_not_follow_the_position_is_refused(store: Store, batch: Any) -> None:
    await store.fold(batch(0))
    with pytest.raises(PositionMoved):
        await store.fold(batch(5, first=5))
    assert await store.positions.read(PARTITION) == 0
    assert (await store.numbers.counts("camp_1")).sent == 1


async def test_a_stale_position_takes_everything_back(store: Store, batch: Any) -> None:
    await store.fold(batch(0))

    async def work(tx: Tx) -> None:
        changes = Changes()
        changes.of("camp_1", "acme").counts.sent += 100
        await store.ledger.apply(tx, changes)
        await store.positions.move(tx, PARTITION, before=-1, after=9)

    with pytest.raises(PositionMoved):
        await store.transactions.run(work)
    assert (await store.numbers.counts("camp_1")).sent == 1


async def test_a_campaign_keeps_its_organisation_and_its_newest_name(store: Store, events: Any) -> None:
    raws = [events.created(sequence=2), events.created(sequence=1), events.created(org="other", sequence=3)]
    for offset, raw in enumerate(raws):
        fact = read_fact(raw)
        assert fact is not None
        await store.fold(Batch(PARTITION, offset, offset, [(offset, fact)]))
    assert await store.numbers.org_of("camp_1") == "acme"
    assert await store.numbers.org_of("camp_2") is None


async def test_the_mark_is_taken_once_and_set_again_by_new_numbers(store: Store, batch: Any) -> None:
    async def take(now: datetime) -> Any:
        return await store.transactions.run(lambda tx: store.numbers.take(tx, "camp_1", now))

    await store.fold(batch(0, 1))
    assert list(await store.numbers.due(NOW, 10)) == ["camp_1"]
    taken = await take(NOW)
    assert (taken.revision, taken.numbers.org, taken.numbers.counts.sent) == (1, "acme", 2)
    assert await take(NOW) is None
    await store.fold(batch(2, first=2))
    assert list(await store.numbers.due(NOW - timedelta(seconds=1), 10)) == []
    assert list(await store.numbers.due(NOW, 10)) == ["camp_1"]
    assert (await take(NOW)).revision == 2


async def test_two_instances_that_fold_the_same_batches_at_once_count_them_once(
    mongo_database: Any, batch: Any
) -> None:
    stores = [await _mongo(mongo_database), await _mongo(mongo_database)]
    batches = [batch(*range(first, first + 5), first=first) for first in range(0, 40, 5)]

    async def instance(store: Store) -> None:
        for item in batches:
            while True:
                try:
                    await store.fold(item)
                    break
                except PositionMoved:
                    continue

    await asyncio.gather(*map(instance, stores))
    assert await stores[0].numbers.counts("camp_1") == Counts(sent=40, delivered=40)
    assert await stores[0].positions.read(PARTITION) == 39
