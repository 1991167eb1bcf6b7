"""Periods: whole cells, and the local days of every zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.periods import (
    EPOCH,
    Period,
    buckets,
    day_of,
    day_start,
    days_between,
    minute_of,
    present,
    zone_names,
)

ZONES = st.sampled_from(sorted(zone_names())).map(ZoneInfo)
TIMES = st.integers(0, 26 * 365 * 86_400).map(
    lambda seconds: datetime(2012, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def length(zone: str, day: str) -> int:
    """Of a local day, in minutes."""
    first = date.fromisoformat(day)
    return day_start(ZoneInfo(zone), first + timedelta(days=1)) - day_start(ZoneInfo(zone), first)


def test_an_hour_is_the_60_minutes_that_end_with_the_present_one() -> None:
    found = buckets(Period.HOUR, ZoneInfo("UTC"), utc("2024-06-01T10:05:59.999"))
    assert (len(found.dates), found.dates[0], found.dates[-1]) == (
        60, "2024-06-01T09:06:00Z", "2024-06-01T10:05:00Z",
    )  # fmt: skip
    assert found.last - found.first == 59
    assert found.last == minute_of(utc("2024-06-01T10:05"))


def test_24_hours_are_whole_utc_hours_that_end_with_the_present_one() -> None:
    found = buckets(Period.DAY, ZoneInfo("Asia/Kathmandu"), utc("2024-06-01T10:05"))
    assert (len(found.dates), found.dates[0], found.dates[-1]) == (
        24, "2024-05-31T11:00:00Z", "2024-06-01T10:00:00Z",
    )  # fmt: skip
    assert (found.first, found.last) == (
        minute_of(utc("2024-05-31T11:00")), minute_of(utc("2024-06-01T10:59")),
    )  # fmt: skip


@pytest.mark.parametrize(("period", "days"), [(Period.WEEK, 7), (Period.MONTH, 30)])
def test_days_are_those_of_the_zone_and_end_with_its_today(period: Period, days: int) -> None:
    now = utc("2024-06-01T21:00")
    for zone, today in [("UTC", "2024-06-01"), ("Asia/Tokyo", "2024-06-02"), ("Pacific/Midway", "2024-06-01"),
                        ("Pacific/Kiritimati", "2024-06-02")]:  # fmt: skip
        found = buckets(period, ZoneInfo(zone), now)
        assert (len(found.dates), found.dates[-1]) == (days, today)
        assert found.dates[0] == (date.fromisoformat(today) - timedelta(days=days - 1)).isoformat()


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Berlin", "2024-03-31", 23),
        ("Europe/Berlin", "2024-10-27", 25),
        ("America/New_York", "2024-03-10", 23),
        ("America/New_York", "2024-11-03", 25),
        ("Australia/Lord_Howe", "2024-10-06", 23.5),
        ("Australia/Lord_Howe", "2024-04-07", 24.5),
        ("Antarctica/Troll", "2024-03-31", 22),
        ("Asia/Kathmandu", "2024-03-31", 24),
        ("Africa/Cairo", "2024-04-26", 23),  # midnight does not exist
        ("Asia/Beirut", "2024-03-31", 23),  # nor here
        ("America/Havana", "2024-11-03", 25),  # midnight comes twice
        ("America/Scoresbysund", "2024-10-26", 25),  # it ends an hour after it seemed to
        ("Pacific/Apia", "2011-12-30", 0),  # never was
    ],
)
def test_a_day_is_as_long_as_its_zone_made_it(zone: str, day: str, hours: float) -> None:
    assert length(zone, day) == hours * 60


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("Asia/Kathmandu", "2024-06-01", "2024-05-31T18:15"),
        ("Asia/Kolkata", "2024-06-01", "2024-05-31T18:30"),
        ("Pacific/Chatham", "2024-06-01", "2024-05-31T11:15"),
        ("America/St_Johns", "2024-06-01", "2024-06-01T02:30"),
        ("Pacific/Kiritimati", "2024-06-01", "2024-05-31T10:00"),
        ("Etc/GMT+12", "2024-06-01", "2024-06-01T12:00"),
        ("Africa/Cairo", "2024-04-26", "2024-04-25T22:00"),  # the clock shows 01:00
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30"),  # from 23:30 to 00:30
        ("America/Havana", "2024-11-03", "2024-11-03T04:00"),  # the first of two midnights
    ],
)
def test_a_day_begins_with_the_first_moment_that_shows_its_date(zone: str, day: str, begins: str) -> None:
    assert day_start(ZoneInfo(zone), date.fromisoformat(day)) == minute_of(utc(begins))


def test_a_date_that_was_never_there_is_no_day() -> None:
    apia, now = ZoneInfo("Pacific/Apia"), utc("2012-01-02T00:00")
    found = buckets(Period.WEEK, apia, now)
    assert found.dates == (
        "2011-12-26", "2011-12-27", "2011-12-28", "2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02",
    )  # fmt: skip
    between = days_between(apia, minute_of(utc("2011-12-29T12:00")), minute_of(now))
    assert between.dates == ("2011-12-29", "2011-12-31", "2012-01-01", "2012-01-02")


@given(ZONES, TIMES)
def test_every_minute_lies_in_the_day_that_its_clock_shows(zone: ZoneInfo, time: datetime) -> None:
    minute = minute_of(time)
    day = day_of(zone, minute)
    assert day == time.astimezone(zone).date()
    assert day_start(zone, day) <= minute < day_start(zone, day + timedelta(days=1))
    assert day_start(zone, day) % 15 == 0


@given(ZONES, TIMES, st.sampled_from([Period.HOUR, Period.DAY, Period.WEEK, Period.MONTH]))
def test_the_buckets_of_a_period_touch_have_names_of_their_own_and_hold_the_present(
    zone: ZoneInfo, now: datetime, period: Period
) -> None:
    found = buckets(period, zone, now)
    assert list(found.edges) == sorted(set(found.edges))
    assert len(found.edges) == len(found.dates) + 1 == len(set(found.dates)) + 1
    assert found.edges[-2] <= minute_of(now) < found.edges[-1]
    assert list(found.dates) == sorted(found.dates)


@given(ZONES, TIMES, st.sampled_from(Period), st.integers(0, 100_000))
def test_as_long_as_the_present_is_the_same_the_buckets_are(
    zone: ZoneInfo, now: datetime, period: Period, later: int
) -> None:
    if period is Period.ALL:
        assert present(period, zone, now) == 0
        return
    then = now + timedelta(seconds=later)
    same = present(period, zone, now) == present(period, zone, then)
    assert same == (buckets(period, zone, now) == buckets(period, zone, then))


def test_minutes_are_counted_from_the_epoch() -> None:
    assert minute_of(EPOCH + timedelta(minutes=5, seconds=59)) == 5
