"""The last state is always told, not more often than once in a while."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, TypeVar
from unittest.mock import AsyncMock

import pytest
from contracts.events.statistics import StatisticsUpdated
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock, InMemoryOutbox, InMemoryTransactions
from stats_service.application.announce_statistics import announce_statistics
from stats_service.application.read_fact import read_fact
from stats_service.domain.fold import fold
from stats_service.domain.states import Ahead, names_in

T = TypeVar("T")
WEEK_MS = 7 * 24 * 60 * 60 * 1000


class FailingTransactions(InMemoryTransactions):
    """Counts the transactions; the next `fail` run out of time."""

    number = fail = 0

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        self.number += 1
        if self.fail:
            self.fail -= 1
            raise TimeoutError
        return await super().run(work)


class Rig:
    """Numbers that move, and what is told of them."""

    def __init__(self, stats: Any, events: Any) -> None:
        self.stats, self.events = stats, events
        self.clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.outbox = InMemoryOutbox()
        self.transactions = FailingTransactions()

    async def counts(self, window: int) -> None:
        """One more message is sent."""
        await self.folds(self.events.window(window))

    async def prices(self, raw: bytes) -> None:
        """The organisation sets a price."""
        await self.folds(raw)

    async def folds(self, raw: bytes) -> None:
        """An event is folded."""
        fact = read_fact(raw)
        assert fact is not None

        async def work(tx: Tx) -> None:
            known = await self.stats.known(tx, names_in([fact]), Ahead())
            await self.stats.apply(tx, known, fold([fact], known, window_ms=WEEK_MS))

        await self.transactions.run(work)

    async def announce(self) -> int:
        return await announce_statistics(
            transactions=self.transactions,
            announcements=self.stats,
            prices=self.stats,
            outbox=self.outbox,
            clock=self.clock,
            every_seconds=1,
            limit=10,
            at_once=2,
        )

    def told(self) -> list[tuple[int, int]]:
        """(revision, messages sent) of each announcement."""
        answer = []
        for event in self.outbox.events:
            assert isinstance(event.data, StatisticsUpdated)
            answer.append((event.data.revision, event.data.statistics.messages_sent))
        return answer


@pytest.fixture
def rig(stats: Any, events: Any) -> Rig:
    return Rig(stats, events)


async def test_numbers_that_moved_are_told_once(rig: Rig) -> None:
    await rig.counts(0)
    assert [await rig.announce(), await rig.announce()] == [1, 0]
    assert rig.told() == [(1, 1)]
    event = rig.outbox.events[0]
    assert (event.subject, event.orgid) == ("camp_1", "acme")


async def test_a_busy_campaign_is_told_once_a_second_and_its_last_state_always(rig: Rig) -> None:
    for window in range(25):
        await rig.counts(window)
        await rig.announce()
        rig.clock.advance(0.1)
    rig.clock.advance(1)
    await rig.announce()
    told = rig.told()
    assert told[-1] == (25, 25)
    assert 3 <= len(told) <= 4
    assert told == sorted(set(told))


async def test_many_campaigns_are_told_of_in_transactions_of_some(rig: Rig) -> None:
    for number in range(12):
        await rig.folds(rig.events.window(campaign_id=f"camp_{number}", execution_id=f"exec_{number}"))
    before = rig.transactions.number
    assert [await rig.announce(), await rig.announce(), await rig.announce()] == [10, 2, 0]
    assert rig.transactions.number - before == 5 + 1
    assert len({event.subject for event in rig.outbox.events}) == len(rig.outbox.events) == 12


async def test_a_piece_that_cannot_be_told_holds_up_no_others_and_is_told_the_next_time(rig: Rig) -> None:
    for number in range(8):
        await rig.folds(rig.events.window(campaign_id=f"camp_{number}", execution_id=f"exec_{number}"))
    rig.transactions.fail = 1
    with pytest.raises(TimeoutError):
        await rig.announce()
    assert len(rig.outbox.events) == 6
    assert await rig.announce() == 2
    assert len({event.subject for event in rig.outbox.events}) == 8


async def test_who_read_a_moment_ago_that_a_campaign_is_due_does_not_tell_of_it_again(rig: Rig) -> None:
    await rig.counts(0)
    due = await rig.stats.due(rig.clock.now(), 10)
    assert await rig.announce() == 1
    await rig.counts(1)
    rig.stats.due = AsyncMock(return_value=due)
    assert await rig.announce() == 0
    rig.clock.advance(1)
    assert await rig.announce() == 1


async def test_nothing_is_told_of_what_a_replay_did_not_change(rig: Rig) -> None:
    await rig.counts(0)
    await rig.announce()
    rig.clock.advance(5)
    await rig.counts(0)
    assert await rig.announce() == 0


async def test_a_new_price_is_told_of_every_campaign_of_its_organisation_and_an_older_one_of_none(
    rig: Rig,
) -> None:
    for window in range(3):
        await rig.counts(window)
    await rig.announce()
    for raw, cost in (
        (rig.events.settings(0.1, revision=2), 0.3),
        (rig.events.settings(9, revision=1), None),
        (rig.events.settings(5, revision=3, org="other"), None),
        (rig.events.settings(0.1, revision=3), None),
        (rig.events.settings(0, revision=4), 0),
    ):
        rig.clock.advance(1)
        await rig.prices(raw)
        # One turn marks the campaigns, the next tells of them.
        assert [await rig.announce(), await rig.announce()] == [0, cost is not None]
        if cost is not None:
            assert rig.outbox.events[-1].data.statistics.total_cost == cost
    revisions = [revision for revision, _ in rig.told()]
    assert revisions == sorted(set(revisions))
