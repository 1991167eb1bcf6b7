"""A campaign's statistics: whose they are, and waiting for a young one."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.ids import created_at, new_id
from service_kit.testing.fakes import FixedClock
from stats_service.application.get_statistics import get_statistics
from stats_service.domain.dimensions import ALL, Metric
from stats_service.domain.errors import CampaignNotFound
from stats_service.domain.states import CampaignState, Cell


def know(stats: Any, campaign: str, *, deleted: bool = False) -> None:
    """As if an event had told of the campaign."""
    stats.campaigns[campaign] = CampaignState("acme", "A", 1, deleted)


class Waiting:
    """Lets the clock run, and tells of a campaign after some time."""

    def __init__(self, clock: FixedClock, stats: Any) -> None:
        self._clock, self._stats = clock, stats
        self.waited = 0.0
        self.appears: tuple[str, float] | None = None

    async def __call__(self, seconds: float, /) -> None:
        self._clock.advance(seconds)
        self.waited += seconds
        if self.appears and self.waited >= self.appears[1]:
            know(self._stats, self.appears[0])


@pytest.fixture
def campaign() -> str:
    return new_id("camp")


@pytest.fixture
def clock(campaign: str) -> FixedClock:
    made = created_at(campaign)
    assert made is not None
    return FixedClock(made + timedelta(seconds=1))


@pytest.fixture
def waiting(clock: FixedClock, stats: Any) -> Waiting:
    return Waiting(clock, stats)


async def ask(
    campaign: str,
    stats: Any,
    clock: FixedClock,
    waiting: Waiting,
    *,
    org: str = "acme",
    deleted_too: bool = False,
) -> Any:
    return await get_statistics(
        campaign,
        org=org,
        deleted_too=deleted_too,
        campaigns=stats,
        numbers=stats,
        clock=clock,
        pause=waiting,
    )


async def test_the_numbers_of_a_known_campaign_are_answered_at_once(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    know(stats, campaign)
    stats.cells[campaign] = Counter(
        {Cell(0, ALL, Metric.SENT): 5, Cell(1, ALL, Metric.SENT): 3, Cell(1, ALL, Metric.DELIVERED): 6}
    )
    totals, rates = await ask(campaign, stats, clock, waiting)
    assert (totals.messages_sent, totals.delivered, rates.delivery_rate) == (8, 6, 75.0)
    assert waiting.waited == 0


async def test_a_campaign_without_numbers_answers_zeros(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    know(stats, campaign)
    totals, rates = await ask(campaign, stats, clock, waiting)
    assert (totals.messages_sent, totals.delivered, rates.delivery_rate) == (0, 0, 0)


async def test_another_organisations_campaign_is_not_found_and_not_waited_for(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    know(stats, campaign)
    with pytest.raises(CampaignNotFound):
        await ask(campaign, stats, clock, waiting, org="other")
    assert waiting.waited == 0


async def test_a_deleted_campaign_is_found_only_by_who_may_see_deleted_ones_and_not_waited_for(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    know(stats, campaign, deleted=True)
    stats.cells[campaign] = Counter({Cell(0, ALL, Metric.SENT): 8})
    totals, _ = await ask(campaign, stats, clock, waiting, deleted_too=True)
    assert totals.messages_sent == 8
    with pytest.raises(CampaignNotFound):
        await ask(campaign, stats, clock, waiting)
    with pytest.raises(CampaignNotFound):
        await ask(campaign, stats, clock, waiting, org="other", deleted_too=True)
    assert waiting.waited == 0


async def test_a_young_unknown_campaign_is_waited_for(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    waiting.appears = (campaign, 0.5)
    totals, _ = await ask(campaign, stats, clock, waiting)
    assert totals.messages_sent == 0
    assert 0.5 <= waiting.waited < 0.7


async def test_a_young_campaign_that_never_comes_is_not_found_after_two_seconds(
    campaign: str, stats: Any, clock: FixedClock, waiting: Waiting
) -> None:
    with pytest.raises(CampaignNotFound):
        await ask(campaign, stats, clock, waiting)
    assert 2 <= waiting.waited < 2.2


@pytest.mark.parametrize("identifier", ["camp_x", "", "camp_01ARZ3NDEKTSV4RRFFQ69G5FAV"])
async def test_an_id_that_is_old_or_not_ours_is_not_waited_for(
    identifier: str, stats: Any, waiting: Waiting
) -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(CampaignNotFound):
        await ask(identifier, stats, clock, waiting)
    assert waiting.waited == 0
