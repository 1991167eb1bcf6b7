"""What a conversion may be: its value to the last decimal, its time, its id."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.conversion import (
    CLOCKS_DIFFER,
    MOST_VALUE,
    OLDEST,
    Conversion,
    FromClick,
    amount_of,
    conversion_id,
    time_of,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CLICK = FromClick("exec_1", "msg_1", NOW - timedelta(days=1))
SECOND = timedelta(seconds=1)


@given(st.integers(0, MOST_VALUE * 10_000))
def test_every_value_of_four_decimals_is_kept_exactly(amount: int) -> None:
    whole, rest = divmod(amount, 10_000)
    told = float(f"{whole}.{rest:04d}")
    assert amount_of(told) == amount
    shown = Conversion("conv_1", "acme", "camp_1", "con_1", amount, "EUR", NOW, NOW).value
    assert shown == told


@given(st.lists(st.integers(0, 10**9), max_size=50), st.randoms())
def test_sums_are_those_of_the_decimals_whatever_the_order(amounts: list[int], order: object) -> None:
    told = [amount / 10_000 for amount in amounts]
    order.shuffle(told)  # type: ignore[attr-defined]
    assert sum(amount_of(value) for value in told) == sum(amounts)


@pytest.mark.parametrize(
    ("value", "rule"),
    [(0.00001, "decimals"), (1.00005, "decimals"), (999_999_999.99999, "decimals"), (5e-324, "decimals"),
     (-0.0001, "from 0"), (MOST_VALUE + 0.0001, "from 0"), (1e300, "from 0"), (float("inf"), "from 0"),
     (float("nan"), "from 0")],
)  # fmt: skip
def test_other_values_are_refused_with_their_rule(value: float, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        amount_of(value)


def test_an_external_id_makes_the_same_id_again_in_its_organisation_alone() -> None:
    made = conversion_id("acme", "order-1")
    assert made == conversion_id("acme", "order-1") and len(made) == len("conv_") + 26
    others = {conversion_id(*pair) for pair in [("acme", "order-2"), ("other", "order-1"), ("acme", "")]}
    assert len(others | {made}) == 4
    assert conversion_id("acme", None) != conversion_id("acme", None)


@pytest.mark.parametrize("click", [None, CLICK])
@pytest.mark.parametrize(
    "at", [NOW, NOW - SECOND, NOW + CLOCKS_DIFFER, NOW - timedelta(hours=23)]
)  # after the click
def test_a_time_that_can_be_is_kept(at: datetime, click: FromClick | None) -> None:
    assert time_of(at, now=NOW, click=click) == at


def test_without_a_time_it_was_now() -> None:
    assert time_of(None, now=NOW, click=None) == NOW


def test_what_seems_to_be_a_little_before_its_click_was_at_the_click() -> None:
    assert time_of(CLICK.at - CLOCKS_DIFFER, now=NOW, click=CLICK) == CLICK.at
    # Ours may be the clock that is behind: several processes sign clicks.
    ahead = FromClick("exec_1", "msg_1", NOW + SECOND)
    assert time_of(None, now=NOW, click=ahead) == ahead.at


@pytest.mark.parametrize(
    ("at", "click", "rule"),
    [
        (NOW + CLOCKS_DIFFER + SECOND, None, "future"),
        (NOW - OLDEST - SECOND, None, "90 days"),
        (CLICK.at - CLOCKS_DIFFER - SECOND, CLICK, "before the click"),
    ],
)
def test_a_time_that_cannot_be_is_refused_with_its_rule(
    at: datetime, click: FromClick | None, rule: str
) -> None:
    with pytest.raises(ValueError, match=rule):
        time_of(at, now=NOW, click=click)
