"""Adding counted cells up: by bucket, and in all.

A row holds what a line counted in a day (96 cells of a quarter of an hour) or an hour (60 of a minute).
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, repeat
from typing import Final, NamedTuple, TypeAlias

from stats_service.domain.dimensions import QUARTER_MINUTES, Line

Counts: TypeAlias = dict[str, int]
"""By metric; absent means 0."""
NAMES: Final = tuple(map(str, range(96)))
CELLS: Final = {name: number for number, name in enumerate(NAMES)}


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
    ordered = sorted(rows, key=_start)
    first, last = _first(ordered), _first(reversed(ordered))
    return (min(first), max(last)) if first and last else None


def _start(row: Row) -> int:
    return row.start


def _first(ordered: Iterable[Row]) -> list[int]:
    """What the first rows that counted anything have; most rows need no look."""
    found = ([start for row in some for start in _counted(row)] for _, some in groupby(ordered, key=_start))
    return next(filter(None, found), [])


def _counted(row: Row) -> list[int]:
    """The first minutes of the cells that counted anything."""
    return [
        row.start + CELLS[cell] * row.cell_minutes
        for values in row.counts.values()
        for cell, count in values.items()
        if count
    ]


def _add(row: Row, edges: Sequence[int], sums: Sequence[Counts]) -> None:
    """Add the row's cells to the buckets that they lie in; most rows lie in one."""
    for place, cells in _places(row, edges):
        bucket = sums[place]
        for metric, values in row.counts.items():
            some = values.values() if cells is None else map(values.get, cells, repeat(0))
            bucket[metric] = bucket.get(metric, 0) + sum(some)


def _places(row: Row, edges: Sequence[int]) -> Iterator[tuple[int, Sequence[str] | None]]:
    """The buckets that the row lies in, and its cells there; None: all."""
    cell, place = 0, bisect_right(edges, row.start) - 1
    while cell < row.cells and place + 1 < len(edges):
        stop = min(row.cells, (edges[place + 1] - row.start) // row.cell_minutes)
        if place >= 0:
            yield place, None if stop - cell == row.cells else NAMES[cell:stop]
        cell, place = stop, place + 1
