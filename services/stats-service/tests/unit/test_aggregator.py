"""Failures become waiting, parking, or reading the log; nothing is lost, nothing counts twice."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from service_kit.errors import Retryable
from service_kit.kafka.consumer import RetryPolicy
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.application.fold_batch import Batch, Folded, fold_batches
from stats_service.application.ports import LogAway, Partition, PositionMoved, Record
from stats_service.domain.facts import WindowRecorded
from stats_service.entrypoints.aggregator import Aggregator
from stats_service.entrypoints.patience import Progress

ATTEMPTS = 2
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
WEEK = timedelta(days=7)


class Rig:
    """An aggregator on fakes, and what it parked."""

    def __init__(self, stats: Any, log: Any) -> None:
        self.parked: list[tuple[int, str]] = []
        self.folds = 0
        self.before_fold: Callable[[Batch], None] = lambda _batch: None
        self._fold = partial(
            fold_batches, transactions=InMemoryTransactions(), positions=stats, ledger=stats, attribution=WEEK
        )
        self.aggregator = Aggregator(
            self.fold,
            positions=stats,
            topics_log=log,
            park=self.park,
            clock=FixedClock(NOW),
            retry=RetryPolicy(first_seconds=0, most_seconds=0, max_attempts=ATTEMPTS),
            progress=Progress(),
        )

    async def fold(self, batches: Sequence[Batch]) -> Folded:
        self.folds += 1
        for batch in batches:
            self.before_fold(batch)
        return await self._fold(batches)

    async def park(self, record: Record, reason: str) -> None:
        self.parked.append((record.offset, reason))


@pytest.fixture
def rig(stats: Any, topics_log: Any) -> Rig:
    return Rig(stats, topics_log)


async def test_messages_are_counted_and_the_position_follows(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    await rig.aggregator.take(partition, records([events.window(0), events.window(1)]))
    assert (await stats.totals("camp_1"))["sent"] == 2
    assert stats.offsets[partition] == 1


async def test_a_replay_of_everything_changes_nothing(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    batch = records([events.window(number) for number in range(4)])
    await rig.aggregator.take(partition, batch)
    await rig.aggregator.take(partition, batch)
    await rig.aggregator.take(partition, batch[2:])
    assert (await stats.totals("camp_1"))["sent"] == 4
    assert stats.offsets[partition] == 3


async def test_an_event_published_twice_counts_once(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    await rig.aggregator.take(partition, records([events.window(0), events.window(0), events.planned(5)]))
    await rig.aggregator.take(partition, records([events.planned(5), events.window(0)], first=3))
    assert (await stats.totals("camp_1"))["sent"] == 1
    assert (await stats.totals("camp_1"))["tasksTotal"] == 5


async def test_unreadable_messages_are_parked_and_the_rest_counts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    broken = events.changed(events.window(), "data.window", "x")
    await rig.aggregator.take(partition, records([events.window(0), b"{", broken, events.window(1)]))
    assert [offset for offset, _ in rig.parked] == [1, 2]
    assert (await stats.totals("camp_1"))["sent"] == 2
    assert stats.offsets[partition] == 3


async def test_what_says_to_be_of_the_future_is_parked_and_what_is_late_counts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    def row(at: datetime) -> list[Any]:
        minute = int(at.timestamp()) // 60
        return [{"minute": minute, "messageId": "msg_1", "status": "successful", "count": 1}]

    tomorrow, too_late, long_ago = (NOW + timedelta(hours=hours) for hours in (24, 24.1, -24 * 80))
    bodies = [
        events.changed(events.window(0), "data.tally", row(tomorrow)),
        events.changed(events.window(1), "data.tally", row(too_late)),
        events.changed(events.window(2), "data.tally", row(long_ago)),
        events.clicked(clicked_at=tomorrow),
        events.clicked(clicked_at=too_late),
        events.converted("conv_1", converted_at=too_late),
    ]
    await rig.aggregator.take(partition, records(bodies))
    assert rig.parked == [(1, "future"), (4, "future"), (5, "future")]
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["clickedTotal"], totals["convertedTotal"]) == (2, 1, 0)
    assert stats.offsets[partition] == 5


async def test_what_another_organisation_tells_of_a_campaign_is_parked_and_the_rest_counts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    bodies = [events.created(), events.window(0), events.window(1, org="evil"), events.clicked(org="evil")]
    await rig.aggregator.take(partition, records(bodies))
    assert rig.parked == [(2, "foreign"), (3, "foreign")]
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["clickedTotal"]) == (1, 0)
    assert stats.offsets[partition] == 3


async def test_what_is_told_of_an_unknown_campaign_and_of_a_deleted_one_counts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    await rig.aggregator.take(partition, records([events.window(0), events.clicked()]))
    assert await stats.owner_of("camp_1") is None
    bodies = [events.created(), events.deleted(), events.window(1), events.clicked("contact_2")]
    await rig.aggregator.take(partition, records(bodies, first=2))
    assert (await stats.owner_of("camp_1")).deleted
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["clicked"], rig.parked) == (2, 2, [])


async def test_an_event_that_is_on_another_topic_too_counts_once(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    bodies = [events.window(0), events.clicked(event_id="event_1"), events.converted("conv_1")]
    await rig.aggregator.take(partition, records(bodies))
    elsewhere = Partition("audience-events", 0)
    again = [replace(record, topic=elsewhere.topic, partition=0) for record in records(bodies)]
    await rig.aggregator.take(elsewhere, again)
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["clickedTotal"], totals["convertedTotal"]) == (1, 1, 1)


async def test_what_the_consumer_skipped_is_read_from_the_log(
    rig: Rig, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    everything = records([events.window(number) for number in range(12)])
    topics_log.kept[partition] = everything
    await rig.aggregator.take(partition, everything[:2])
    await rig.aggregator.take(partition, [everything[9], everything[11]])
    assert (await stats.totals("camp_1"))["sent"] == 12
    assert stats.offsets[partition] == 11


async def test_what_retention_took_is_passed_over(
    rig: Rig, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    everything = records([events.window(number) for number in range(8)])
    topics_log.kept[partition], topics_log.start = everything, 5
    await rig.aggregator.take(partition, everything[7:])
    assert (await stats.totals("camp_1"))["sent"] == 3
    assert stats.offsets[partition] == 7


@pytest.mark.parametrize("error", [Retryable(), TimeoutError(), OSError(), LogAway()])
async def test_a_dependency_that_is_away_is_waited_for_longer_than_any_number_of_attempts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition, error: Exception
) -> None:
    def away(_batch: Batch) -> None:
        if rig.folds < ATTEMPTS * 10:
            raise error

    rig.before_fold = away
    await rig.aggregator.take(partition, records([events.window(0)]))
    assert (await stats.totals("camp_1"))["sent"] == 1
    assert rig.parked == []


async def test_another_instance_that_was_faster_is_noticed(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    batch = records([events.window(0), events.window(1)])
    other = Rig(stats, None)

    def moved(_batch: Batch) -> None:
        if rig.folds == 1:
            raise PositionMoved

    await other.aggregator.take(partition, batch[:1])
    rig.before_fold = moved
    await rig.aggregator.take(partition, batch)
    assert (await stats.totals("camp_1"))["sent"] == 2


async def test_the_one_fact_that_cannot_be_stored_is_found_and_parked(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    def refuse(batch: Batch) -> None:
        for _, fact in batch.facts:
            if isinstance(fact, WindowRecorded) and fact.window == 5:
                raise ValueError("the driver cannot encode it")

    rig.before_fold = refuse
    await rig.aggregator.take(partition, records([events.window(number) for number in range(9)]))
    assert rig.parked == [(5, "ValueError")]
    assert (await stats.totals("camp_1"))["sent"] == 8
    assert stats.offsets[partition] == 8


async def test_what_is_too_much_for_one_transaction_is_folded_in_several(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    def only_so_many(batch: Batch) -> None:
        if len(batch.facts) > 5:
            raise TimeoutError

    rig.before_fold = only_so_many
    await rig.aggregator.take(partition, records([events.window(number) for number in range(40)]))
    assert (await stats.totals("camp_1"))["sent"] == 40
    assert stats.offsets[partition] == 39
    assert rig.parked == []


def elsewhere(made: list[Record]) -> dict[Partition, list[Record]]:
    """The same records on another partition."""
    return {
        Partition("execution-events", 1): [replace(r, topic="execution-events", partition=1) for r in made]
    }


async def test_several_partitions_are_folded_at_once(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    other = elsewhere(records([events.planned(3)]))
    folds = []
    for first in (0, 2):
        groups = {partition: records([events.window(first), events.window(first + 1)], first=first)} | other
        await rig.aggregator.take_all(groups)
        folds.append(rig.folds)
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["tasksTotal"]) == (4, 3)
    assert stats.offsets == {partition: 3, Partition("execution-events", 1): 0}
    assert folds == [3, 4]  # each alone while there are no positions yet


async def test_what_is_odd_about_one_partition_is_settled_alone_and_nothing_is_lost_or_told_twice(
    rig: Rig, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    everything = records([events.window(number) for number in range(6)])
    topics_log.kept[partition] = everything
    odd = [b"{", events.clicked(org="evil"), events.clicked(clicked_at=NOW + timedelta(days=2))]
    other = elsewhere(records([events.created(), *odd, events.planned(3)]))
    await rig.aggregator.take_all({partition: everything[:2]} | other)
    await rig.aggregator.take_all({partition: everything[4:]})
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["tasksTotal"]) == (6, 3)
    assert sorted(rig.parked) == [(1, rig.parked[0][1]), (2, "foreign"), (3, "future")]


async def test_what_is_too_much_at_once_for_several_partitions_is_folded_in_smaller_parts(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    def only_so_many(batch: Batch) -> None:
        if len(batch.facts) > 5:
            raise TimeoutError

    rig.before_fold = only_so_many
    other = elsewhere(records([events.planned(3)]))
    await rig.aggregator.take_all({partition: records([events.window(n) for n in range(40)])} | other)
    totals = await stats.totals("camp_1")
    assert (totals["sent"], totals["tasksTotal"], rig.parked) == (40, 3, [])


async def test_a_partition_that_is_always_out_of_time_does_not_stop_the_others_and_is_made_up_for(
    rig: Rig, stats: Any, topics_log: Any, events: Any, records: Any, partition: Partition
) -> None:
    slow = True

    def out_of_time(batch: Batch) -> None:
        if slow and batch.partition == partition:
            raise TimeoutError

    rig.before_fold = out_of_time
    everything = records([b"{", *(events.window(number) for number in range(6))])
    topics_log.kept[partition] = everything
    await rig.aggregator.take_all({partition: everything[:4]} | elsewhere(records([events.planned(3)])))
    more = elsewhere(records([events.planned(4, execution_id="exec_2")], first=1))
    await rig.aggregator.take_all({partition: everything[4:5]} | more)
    assert await rig.aggregator.fill(partition, 5) is False
    assert (await stats.totals("camp_1"))["tasksTotal"] == 7
    assert stats.offsets[partition] == -1
    slow = False
    await rig.aggregator.take_all({partition: everything[5:6]})
    await rig.aggregator.take_all({partition: everything[6:]})
    assert (await stats.totals("camp_1"))["sent"] == 6
    assert stats.offsets[partition] == 6
    assert [offset for offset, _ in rig.parked] == [0]


async def test_what_is_left_to_itself_ends_with_the_process(
    rig: Rig, stats: Any, events: Any, records: Any, partition: Partition
) -> None:
    def out_of_time(_batch: Batch) -> None:
        raise TimeoutError

    rig.before_fold = out_of_time
    await rig.aggregator.take_all({partition: records([events.window(0)])})
    await rig.aggregator.close()
    folds = rig.folds
    await rig.aggregator.take_all({partition: records([events.window(0)])})
    assert rig.folds > folds  # it has its turn again
    await rig.aggregator.close()
    assert stats.offsets[partition] == -1
