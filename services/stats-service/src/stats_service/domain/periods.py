"""Periods: which stretches of time an answer looks at, each a whole number of counted cells.

Mental model: numbers are counted in cells of a minute (for some days) and of a quarter of an hour (for
ever). A bucket is a run of whole cells, a period a row of buckets that touch. All of it is in minutes since
the epoch, UTC. Local days begin at whole quarters, whatever the zone and its clock changes: a day has 23 or
25 hours then, and it begins with the first moment that shows its date, where midnight does not exist or
comes twice. A date that a zone never had (beyond the date line) is no day.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from stats_service.domain.dimensions import QUARTER_MINUTES

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Period(StrEnum):
    """How far back an answer looks. It ends with the present minute, hour or day, which is not over yet."""

    HOUR = "1h"
    DAY = "24h"
    WEEK = "7d"
    MONTH = "30d"
    ALL = "all"


DAYS: Final = {Period.WEEK: 7, Period.MONTH: 30}


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets that touch: the i-th goes from `edges[i]` to `edges[i + 1]` (exclusive); `dates` names each."""

    edges: tuple[int, ...]
    dates: tuple[str, ...]

    @property
    def first(self) -> int:
        """The first minute."""
        return self.edges[0]

    @property
    def last(self) -> int:
        """The last minute, inclusive."""
        return self.edges[-1] - 1


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """The IANA time zones; `localtime` and `Factory` are no places."""
    return frozenset(available_timezones() - {"localtime", "Factory"})


def minute_of(moment: datetime) -> int:
    """Whole minutes since the epoch."""
    return (moment - EPOCH) // timedelta(minutes=1)


def present(period: Period, zone: ZoneInfo, now: datetime) -> int:
    """What the period ends with: the minute, the hour, or the day (its ordinal). 0 for all time.

    While it is the same, the buckets are.
    """
    if period is Period.ALL:
        return 0
    minute = minute_of(now)
    if period in DAYS:
        return day_of(zone, minute).toordinal()
    return minute if period is Period.HOUR else minute // 60


def buckets(period: Period, zone: ZoneInfo, now: datetime) -> Buckets:
    """The buckets of a period that ends now. ALL has none of its own: see `days_between`."""
    minute = minute_of(now)
    if period is Period.HOUR:
        return _clock(range(minute - 59, minute + 2))
    if period is Period.DAY:
        last = minute // 60 * 60
        return _clock(range(last - 23 * 60, last + 61, 60))
    days: list[date] = []
    day = day_of(zone, minute)
    while len(days) < DAYS[period]:
        if day_start(zone, day) < day_start(zone, day + timedelta(days=1)):
            days.append(day)
        day -= timedelta(days=1)
    return _days(zone, reversed(days))


def days_between(zone: ZoneInfo, first: int, last: int) -> Buckets:
    """The local days from the one with the minute `first` to the one with `last`."""
    day, end, days = day_of(zone, first), day_of(zone, last), []
    while day <= end:
        if day_start(zone, day) < day_start(zone, day + timedelta(days=1)):
            days.append(day)
        day += timedelta(days=1)
    return _days(zone, days)


def day_of(zone: ZoneInfo, minute: int) -> date:
    """The local day that the minute belongs to. Days follow each other: one that has begun goes on even if
    the clock is put back over midnight."""
    day = _local_date(zone, minute)
    while day_start(zone, day + timedelta(days=1)) <= minute:
        day += timedelta(days=1)
    return day


@lru_cache(maxsize=8192)
def day_start(zone: ZoneInfo, day: date) -> int:
    """The first minute that shows the local date `day` or a later one; a quarter begins with it."""
    guess = minute_of(datetime(day.year, day.month, day.day, tzinfo=zone))
    start = guess - guess % QUARTER_MINUTES
    # Where the clock leaps over midnight from before it, the leap itself is the first such moment.
    while _local_date(zone, start - QUARTER_MINUTES) >= day:
        start -= QUARTER_MINUTES
    return start


def _local_date(zone: ZoneInfo, minute: int) -> date:
    return (EPOCH + timedelta(minutes=minute)).astimezone(zone).date()


def _clock(edges: range) -> Buckets:
    dates = tuple(f"{EPOCH + timedelta(minutes=edge):%Y-%m-%dT%H:%M:%SZ}" for edge in edges[:-1])
    return Buckets(tuple(edges), dates)


def _days(zone: ZoneInfo, days: Iterable[date]) -> Buckets:
    found = list(days)
    starts = [day_start(zone, day) for day in found]
    end = day_start(zone, found[-1] + timedelta(days=1))
    return Buckets((*starts, end), tuple(day.isoformat() for day in found))
