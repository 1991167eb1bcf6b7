"""The last state is always told, not more often than once in a while."""

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.statistics import StatisticsUpdated
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock, InMemoryOutbox, InMemoryTransactions
from stats_service.application.announce_statistics import announce_statistics
from stats_service.application.read_fact import read_fact
from stats_service.domain.fold import fold
from stats_service.domain.states import Ahead, names_in

WEEK_MS = 7 * 24 * 60 * 60 * 1000


class Rig:
    """Numbers that move, and what is told of them."""

    def __init__(self, stats: Any, events: Any) -> None:
        self.stats, self.events = stats, events
        self.clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
        self.outbox = InMemoryOutbox()
        self.transactions = InMemoryTransactions()

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
