"""Adding counted cells up: by bucket, and in all.

A row holds what a line counted in a day (96 cells of a quarter of an hour) or an hour (60 of a minute).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, TypeAlias

from stats_service.domain.dimensions import QUARTER_MINUTES, Line

Counts: TypeAlias = dict[str, int]
"""By metric; absent means 0."""
CELLS: Final = {str(number): number for number in range(96)}


class Row(NamedTuple):
    """`counts[metric][number of the cell, as text]`. The first cell begins at `start` (minutes, UTC)."""

    line: Line
    start: int
    cell_minutes: int
    counts: Mapping[str, Mapping[str, int]]

    @property
    def cells(self) -> int:
        """How many there are at most."""
        return 96 if self.cell_minutes == QUARTER_MINUTES else 60


def by_line(rows: Iterable[Row], first: int, last: int) -> dict[Line, Counts]:
    """What each line counted from the minute `first` to `last`, both inclusive."""
    sums: dict[Line, Counts] = {}
    edges = (first, last + 1)
    for row in rows:
        _add(row, edges, (sums.setdefault(row.line, {}),))
    return sums


def by_bucket(rows: Iterable[Row], edges: Sequence[int]) -> list[Counts]:
    """What the rows counted, all lines together, in each of the buckets between `edges`."""
    sums: list[Counts] = [{} for _ in edges[1:]]
    for row in rows:
        _add(row, edges, sums)
    return sums


def span(rows: Iterable[Row]) -> tuple[int, int] | None:
    """The first minutes of the first and the last cell that counted anything; None when none did."""
    starts = [
        row.start + CELLS[cell] * row.cell_minutes
        for row in rows
        for values in row.counts.values()
        for cell, count in values.items()
        if count
    ]
    return (min(starts), max(starts)) if starts else None


def _add(row: Row, edges: Sequence[int], sums: Sequence[Counts]) -> None:
    """Add the row's cells to the buckets that they lie in; most rows lie in one."""
    places = [bisect_right(edges, row.start + number * row.cell_minutes) - 1 for number in (0, row.cells - 1)]
    if places[0] == places[1]:
        if 0 <= places[0] < len(sums):
            bucket = sums[places[0]]
            for metric, values in row.counts.items():
                bucket[metric] = bucket.get(metric, 0) + sum(values.values())
        return
    where = [bisect_right(edges, row.start + number * row.cell_minutes) - 1 for number in range(row.cells)]
    for metric, values in row.counts.items():
        for cell, count in values.items():
            place = where[CELLS[cell]]
            if 0 <= place < len(sums):
                sums[place][metric] = sums[place].get(metric, 0) + count
