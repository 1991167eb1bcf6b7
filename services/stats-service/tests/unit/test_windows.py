"""The set of counted windows, as ranges."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.windows import Ranges, with_window


@given(st.lists(st.integers(0, 30)))
def test_ranges_are_the_set_of_windows_and_say_what_was_there(windows: list[int]) -> None:
    ranges: Ranges = ()
    seen: set[int] = set()
    for window in windows:
        after = with_window(ranges, window)
        assert (after is None) == (window in seen)
        ranges = after or ranges
        seen.add(window)
    assert [number for first, last in ranges for number in range(first, last + 1)] == sorted(seen)
    assert all(right[0] > left[1] + 1 for left, right in itertools.pairwise(ranges))


def test_windows_in_order_take_one_range_however_many_there_are() -> None:
    ranges: Ranges = ()
    for window in range(1_000):
        ranges = with_window(ranges, window) or ranges
    assert ranges == ((0, 999),)


def test_a_window_that_was_never_published_costs_one_range_and_may_still_come() -> None:
    assert with_window(((0, 4),), 6) == ((0, 4), (6, 6))
    assert with_window(((0, 4), (6, 6)), 5) == ((0, 6),)
