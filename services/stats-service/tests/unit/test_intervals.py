"""Wilson's intervals, against published values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.intervals import wilson


@pytest.mark.parametrize(
    ("successes", "trials", "low", "high"),
    [
        # R. G. Newcombe, Two-sided confidence intervals for the single proportion (1998), table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_an_interval_is_the_published_one(successes: int, trials: int, low: float, high: float) -> None:
    assert wilson(successes, trials) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_of_nothing_everything_is_possible() -> None:
    assert wilson(0, 0) == (0, 1)


@given(st.integers(0, 10**9), st.integers(1, 10**9))
def test_an_interval_holds_the_rate_and_stays_between_0_and_1(successes: int, trials: int) -> None:
    low, high = wilson(successes, trials)
    assert 0 <= low <= min(successes / trials, 1) + 1e-12
    assert min(successes / trials, 1) - 1e-12 <= high <= 1


@given(st.integers(0, 1000), st.integers(1, 1000))
def test_more_trials_of_the_same_rate_are_surer(successes: int, trials: int) -> None:
    low, high = wilson(min(successes, trials), trials)
    surer_low, surer_high = wilson(min(successes, trials) * 100, trials * 100)
    assert surer_high - surer_low < high - low
