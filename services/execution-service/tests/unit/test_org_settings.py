"""Money that is counted exactly, and settings that are kept for a moment."""

from decimal import Decimal
from fractions import Fraction

import pytest
from execution_service.application.ports_settings import StoredSettings
from execution_service.application.recent_settings import RecentSettings
from execution_service.domain.org_settings import OrgSettings, affordable, cost_of
from hypothesis import given
from hypothesis import strategies as st
from service_kit.ports import Tx

_decimals = st.decimals(min_value="0.000001", max_value=1_000_000, places=6)


@pytest.mark.parametrize(
    ("budget", "cost", "messages"),
    [(0.3, 0.1, 3), (1, 0.1, 10), (0.29, 0.1, 2), (0, 0.1, 0), (5000, 1e-05, 500_000_000), (7, 0, None)],
)
def test_a_budget_pays_for_as_many_messages_as_on_paper(
    budget: float, cost: float, messages: int | None
) -> None:
    assert affordable(budget, cost) == messages


@given(budget=_decimals, cost=_decimals)
def test_what_is_affordable_costs_no_more_than_the_budget_and_one_more_would(
    budget: Decimal, cost: Decimal
) -> None:
    messages = affordable(float(budget), float(cost))
    assert messages is not None
    assert messages * Fraction(cost) <= Fraction(budget) < (messages + 1) * Fraction(cost)
    assert cost_of(messages, float(cost)) <= float(budget)


class _Counted(StoredSettings):
    """Settings that change with each look."""

    def __init__(self) -> None:
        self.looks = 0

    async def of(self, org: str, *, tx: Tx | None = None) -> OrgSettings:
        self.looks += 1
        return OrgSettings(org, version=self.looks)

    async def put(self, tx: Tx, settings: OrgSettings) -> None:
        raise NotImplementedError


async def test_settings_are_read_again_when_their_time_is_over() -> None:
    kept, fresh = _Counted(), _Counted()
    long, none = RecentSettings(kept, keep_seconds=3600), RecentSettings(fresh, keep_seconds=0)
    for org, execution_id in (("acme", "1"), ("acme", "1"), ("other", "2"), ("acme", "1")):
        assert (await long.of(org, execution_id)).org == org
        await none.of(org, execution_id)
    assert (kept.looks, fresh.looks) == (2, 4)


async def test_an_execution_that_is_new_here_never_goes_by_what_was_kept_for_another() -> None:
    kept = RecentSettings(_Counted(), keep_seconds=3600)
    assert [(await kept.of("acme", name)).version for name in ("old", "new", "old", "new")] == [1, 2, 1, 2]
