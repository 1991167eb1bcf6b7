"""How a campaign's numbers are laid out in MongoDB.

    numbers  {_id: campaign, org, version, revision, dirty, announcedAt}: which version of its book holds
    totals   {_id: <book>/<line>, <metric>: n…; the ALL line also tasksTotal, tasksCompleted, tasksFailed}
    days     {_id: <book>/<kind>/<day>/<rest of the line>, <metric>: {<quarter of the day>: n}…}
    hours    {_id: <book>/<kind>/<hour>/<rest of the line>, at, <metric>: {<minute of the hour>: n}…}

A book is a campaign's numbers in one version: `<campaign>~<version>`. Days and hours are counted from the
epoch, in UTC, and written with leading zeros, so that a period is one range of `_id` for each kind of line.
Absent means 0.
"""

from typing import Final
from urllib.parse import quote, unquote

from stats_service.domain.dimensions import Kind, Line

NUMBERS: Final = "numbers"
TOTALS: Final = "totals"
DAYS: Final = "days"
HOURS: Final = "hours"
AFTER: Final = "0"
"""The character behind "/": `<prefix>0` ends the range of all that begins with `<prefix>/`."""


def book_of(campaign: str, version: int) -> str:
    """The name of a campaign's numbers in `version`."""
    return f"{_safe(campaign)}~{version}"


def total_key(book: str, line: Line) -> str:
    """Of a line's totals."""
    return "/".join((book, line.kind.value, *_rest(line)))


def day_key(book: str, day: int, line: Line) -> str:
    """Of a line's quarters on a day (since the epoch)."""
    return "/".join((book, line.kind.value, f"{day:07d}", *_rest(line)))


def hour_key(book: str, hour: int, line: Line) -> str:
    """Of a line's minutes in an hour (since the epoch)."""
    return "/".join((book, line.kind.value, f"{hour:09d}", *_rest(line)))


def kind_range(book: str, kind: Kind) -> tuple[str, str]:
    """From (inclusive) and to (exclusive) of the totals of all lines of a kind."""
    return f"{book}/{kind.value}", f"{book}/{kind.value}{AFTER}"


def days_range(book: str, kind: Kind, first: int, last: int) -> tuple[str, str]:
    """From (inclusive) and to (exclusive) of a kind on the days `first` to `last`, both inclusive."""
    return f"{book}/{kind.value}/{first:07d}", f"{book}/{kind.value}/{last + 1:07d}"


def hours_range(book: str, kind: Kind, first: int, last: int) -> tuple[str, str]:
    """From (inclusive) and to (exclusive) of a kind in the hours `first` to `last`, both inclusive."""
    return f"{book}/{kind.value}/{first:09d}", f"{book}/{kind.value}/{last + 1:09d}"


def line_of_total(key: str) -> Line:
    """The line whose totals have this key."""
    _, kind, *rest = key.split("/")
    return _line(kind, rest)


def line_and_time(key: str) -> tuple[Line, int]:
    """The line, and the day or hour, of a key in `days` or `hours`."""
    _, kind, time, *rest = key.split("/")
    return _line(kind, rest), int(time)


def _line(kind: str, rest: list[str]) -> Line:
    first, second = [*map(unquote, rest), "", ""][:2]
    return Line(Kind(kind), first, second)


def _rest(line: Line) -> tuple[str, ...]:
    if line.kind is Kind.ALL:
        return ()
    if line.kind is Kind.SEGMENT:
        return (_safe(line.first),)
    return (_safe(line.first), _safe(line.second))


def _safe(part: str) -> str:
    """`part` without "/" and "~"."""
    return quote(part, safe="").replace("~", "%7E")
