"""The windows of a shard that have been counted, as ranges.

Mental model: windows of a shard are published in order, so the set is one range nearly always. A
window number that is never published (its sends were taken back) costs one more range, and a window
that comes late still counts once: nothing is lost by guessing that it was seen.
"""

from bisect import bisect_right

Ranges = tuple[tuple[int, int], ...]
"""Disjoint (first, last) pairs, both inclusive, ascending, never adjacent."""


def with_window(seen: Ranges, window: int) -> Ranges | None:
    """`seen` and `window`; None when it was there already."""
    at = bisect_right(seen, window, key=lambda part: part[0])
    if at and window <= seen[at - 1][1]:
        return None
    first = last = window
    before, after = seen[:at], seen[at:]
    if before and before[-1][1] == window - 1:
        first, before = before[-1][0], before[:-1]
    if after and after[0][0] == window + 1:
        last, after = after[0][1], after[1:]
    return (*before, (first, last), *after)
