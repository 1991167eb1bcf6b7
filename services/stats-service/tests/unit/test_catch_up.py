"""Positions are compared with the log itself."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from service_kit.kafka.consumer import RetryPolicy
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.application.catch_up import CatchUp, Look
from stats_service.application.fold_batch import fold_batches
from stats_service.application.ports import Partition
from stats_service.entrypoints.aggregator import Aggregator
from stats_service.entrypoints.parts import SourceHangs, catch_up_for_ever
from stats_service.entrypoints.patience import Progress

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


async def never_park(record: object, reason: str) -> None:
    raise AssertionError(reason)


@pytest.fixture
def catch_up(stats: Any, topics_log: Any) -> CatchUp:
    transactions = InMemoryTransactions()
    aggregator = Aggregator(
        partial(fold_batches, transactions=transactions, positions=stats, ledger=stats, attribution=WEEK),
        positions=stats,
        topics_log=topics_log,
        park=never_park,
        clock=FixedClock(NOW),
        retry=RetryPolicy(first_seconds=0, most_seconds=0, max_attempts=1),
        progress=Progress(),
    )
    return CatchUp(
        ["delivery-events"],
        log=topics_log,
        positions=stats,
        transactions=transactions,
        fill=aggregator.fill,
    )


async def test_a_position_that_stands_still_is_brought_up(
    catch_up: CatchUp, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    topics_log.kept[partition] = records([events.window(number) for number in range(7)])
    assert (await catch_up.look()).filled == ()
    assert (await catch_up.look()).filled == (partition,)
    assert (await stats.totals("camp_1"))["sent"] == 7
    assert (await catch_up.look()).filled == ()


async def test_a_position_that_moves_is_left_to_the_consumer(
    catch_up: CatchUp, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    topics_log.kept[partition] = records([events.window(number) for number in range(7)])
    for position in (0, 2, 4):
        stats.offsets[partition] = position
        assert (await catch_up.look()).filled == ()


async def test_a_topic_made_anew_is_read_from_its_start_and_old_facts_count_once(
    catch_up: CatchUp, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    topics_log.kept[partition] = records([events.window(number) for number in range(5)])
    await catch_up.look()
    await catch_up.look()
    topics_log.kept[partition] = records([events.window(4), events.window(5)])
    look = await catch_up.look()
    assert look.reset == (partition,)
    await catch_up.look()
    assert stats.offsets[partition] == 1
    assert (await stats.totals("camp_1"))["sent"] == 6


class EnoughError(Exception):
    """Ends a loop that runs for ever."""


def looks(partition: Partition, most: int) -> Callable[[], Awaitable[Look]]:
    """Every look finds `partition` standing still; after `most` of them, enough."""
    left = iter(range(most))

    async def look() -> Look:
        if next(left, None) is None:
            raise EnoughError
        return Look((partition,), ())

    return look


async def test_a_consumer_that_is_silent_while_messages_stay_behind_ends_the_process(
    partition: Partition,
) -> None:
    with pytest.raises(SourceHangs):
        await catch_up_for_ever(
            looks(partition, 100),
            silence=lambda: 31,
            every_seconds=0,
            silent_seconds=30,
            progress=Progress(),
        )


async def test_a_consumer_that_delivers_is_kept_even_if_a_partition_had_to_be_helped(
    partition: Partition,
) -> None:
    with pytest.raises(EnoughError):
        await catch_up_for_ever(
            looks(partition, 100),
            silence=lambda: 1,
            every_seconds=0,
            silent_seconds=30,
            progress=Progress(),
        )
