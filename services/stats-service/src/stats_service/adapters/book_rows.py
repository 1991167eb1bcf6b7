"""What a batch adds to a book, as writes to `totals`, `days` and `hours` (see `book_keys`)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import UpdateOne

from stats_service.adapters.book_keys import day_key, hour_key, total_key
from stats_service.domain.dimensions import ALL, MINUTES_A_DAY, QUARTER_MINUTES, Cell, Line
from stats_service.domain.states import BookChanges

MINUTES_AN_HOUR: Final = 60
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
Rows = dict[str, dict[str, int]]
"""Key of a row → what is added to its fields."""


def totals_of(book: str, changes: BookChanges) -> list[UpdateOne]:
    """The increments of all lines' totals."""
    keys = _Keys(lambda line, _: total_key(book, line))
    rows: Rows = {}
    for cell, number in changes.cells.items():
        _add(rows, keys.of(cell.line, 0), cell.metric, number)
    for task, number in changes.tasks.items():
        _add(rows, keys.of(ALL, 0), task, number)
    return [_increment(key, more) for key, more in rows.items()]


def days_of(book: str, cells: Mapping[Cell, int]) -> list[UpdateOne]:
    """The increments of the quarters of days."""
    keys = _Keys(lambda line, day: day_key(book, day, line))
    rows: Rows = {}
    for cell, number in cells.items():
        day, minute = divmod(cell.minute, MINUTES_A_DAY)
        _add(rows, keys.of(cell.line, day), f"{cell.metric}.{minute // QUARTER_MINUTES}", number)
    return [_increment(key, more) for key, more in rows.items()]


def hours_of(book: str, cells: Mapping[Cell, int], *, since: datetime = _EPOCH) -> list[UpdateOne]:
    """The increments of the minutes of hours that began at or after `since`: others are forgotten already.

    Nobody would read such a row, and MongoDB would remove it under the hands of those who write it.
    """
    keys = _Keys(lambda line, hour: hour_key(book, hour, line))
    rows: Rows = {}
    starts: dict[str, datetime] = {}
    for cell, number in cells.items():
        hour, minute = divmod(cell.minute, MINUTES_AN_HOUR)
        start = _EPOCH + timedelta(hours=hour)
        if start < since:
            continue
        key = keys.of(cell.line, hour)
        starts[key] = start
        _add(rows, key, f"{cell.metric}.{minute}", number)
    return [
        UpdateOne({"_id": key}, {"$inc": more, "$set": {"at": starts[key]}}, upsert=True)
        for key, more in rows.items()
    ]


class _Keys:
    """Keys by line and time, each made once."""

    def __init__(self, make: Callable[[Line, int], str]) -> None:
        self._make = make
        self._made: dict[tuple[Line, int], str] = {}

    def of(self, line: Line, time: int) -> str:
        key = self._made.get((line, time))
        if key is None:
            key = self._made[line, time] = self._make(line, time)
        return key


def _add(rows: Rows, key: str, field: str, number: int) -> None:
    row = rows.setdefault(key, {})
    row[field] = row.get(field, 0) + number


def _increment(key: str, more: dict[str, int]) -> UpdateOne:
    return UpdateOne({"_id": key}, {"$inc": more}, upsert=True)
