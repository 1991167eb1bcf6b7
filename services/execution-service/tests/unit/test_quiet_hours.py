"""Quiet hours on every clock there is, against somebody who looks at the wall once a minute."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from datetime import timezone as fixed
from zoneinfo import ZoneInfo, available_timezones

import pytest
from contracts.events.campaign import (
    AudienceDefinition,
    ExecutionOptions,
    ExecutionSnapshot,
    FrozenMessage,
)
from contracts.events.settings import QuietHours as FrozenHours
from execution_service.domain.org_settings import OrgSettings, QuietHours
from execution_service.domain.quiet_hours import AHEAD, Hours, Outlook, Outlooks, hours_of, outlook
from hypothesis import example, given, settings
from hypothesis import strategies as st

MINUTE = timedelta(minutes=1)
NIGHT = QuietHours(time(22), time(8))
ZONES = sorted(available_timezones())
NIGHTS = (
    ("Europe/Berlin", date(2026, 3, 28)), ("Europe/Berlin", date(2026, 10, 24)),
    ("America/New_York", date(2026, 3, 7)), ("America/New_York", date(2026, 10, 31)),
    ("Australia/Lord_Howe", date(2026, 4, 4)), ("Australia/Lord_Howe", date(2026, 10, 3)),
    ("Africa/Cairo", date(2026, 4, 23)), ("America/Havana", date(2026, 3, 7)),
    ("Pacific/Apia", date(2011, 12, 28)), ("Asia/Kathmandu", date(2026, 6, 1)),
    ("Africa/Casablanca", date(2026, 2, 14)), ("Pacific/Chatham", date(2026, 9, 26)),
)  # fmt: skip
"""Zones, each with an evening before its clocks do something."""


def wall(at: datetime, zone: tzinfo) -> time:
    return at.astimezone(zone).time()


def forbidden(quiet: QuietHours, shown: time) -> bool:
    """By counting minutes of the day: from the beginning on, before the end, round the clock."""
    minutes = [value.hour * 60 + value.minute for value in (quiet.from_, quiet.to, shown)]
    length, since = (minutes[1] - minutes[0]) % 1440, (minutes[2] - minutes[0]) % 1440
    return since < length


def by_looking(quiet: QuietHours, zone: tzinfo, now: datetime) -> Outlook:
    """What somebody finds out who looks at the wall every minute."""
    first = forbidden(quiet, wall(now, zone))
    at = now
    while at < now + AHEAD:
        at += MINUTE
        if forbidden(quiet, wall(at, zone)) != first:
            return Outlook(not first, at)
    return Outlook(not first, now + AHEAD)


times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
moments = st.builds(
    lambda day, minute: datetime.combine(day, time(), UTC) + minute * MINUTE,
    st.dates(date(2020, 1, 1), date(2036, 12, 31)),
    st.integers(0, 1439),
)


@settings(max_examples=150, deadline=None)
@given(zone=st.sampled_from(ZONES), start=times, end=times, now=moments)
@example("Europe/Berlin", time(2, 30), time(10), datetime(2026, 3, 28, 20, tzinfo=UTC))
@example("Europe/Berlin", time(21), time(2, 30), datetime(2026, 10, 24, 20, tzinfo=UTC))
def test_the_outlook_is_what_the_wall_shows_minute_by_minute(
    zone: str, start: time, end: time, now: datetime
) -> None:
    quiet = QuietHours(start, end)
    assert outlook(quiet, ZoneInfo(zone), now) == by_looking(quiet, ZoneInfo(zone), now)


@settings(max_examples=150, deadline=None)
@given(
    night=st.sampled_from(NIGHTS),
    edges=st.tuples(st.integers(0, 47), st.integers(0, 47)),
    minute=st.integers(0, 1800),
)
def test_so_it_is_in_nights_in_which_clocks_are_changed(
    night: tuple[str, date], edges: tuple[int, int], minute: int
) -> None:
    """Half past two may be left out, or come twice."""
    zone = ZoneInfo(night[0])
    start, end = (time(half // 2, half % 2 * 30) for half in edges)
    now = (datetime.combine(night[1], time(18), zone).astimezone(UTC)) + minute * MINUTE
    quiet = QuietHours(start, end)
    assert outlook(quiet, zone, now) == by_looking(quiet, zone, now)


@settings(max_examples=300)
@given(start=times, end=times, now=moments, seconds=st.floats(0, 86_400 * 3))
def test_an_outlook_holds_until_its_end_and_not_at_it(
    start: time, end: time, now: datetime, seconds: float
) -> None:
    quiet, zone = QuietHours(start, end), ZoneInfo("America/New_York")
    found = outlook(quiet, zone, now)
    at = now + timedelta(seconds=seconds)
    if at < found.until:
        again = outlook(quiet, zone, at)
        assert again.open == found.open
        assert again.until >= found.until
    if found.until < now + AHEAD:
        assert outlook(quiet, zone, found.until).open != found.open


@pytest.mark.parametrize(
    ("zone", "quiet", "now", "is_open", "until"),
    [
        ("UTC", NIGHT, "2026-06-01T21:59:59", True, "2026-06-01T22:00"),
        ("UTC", NIGHT, "2026-06-01T22:00", False, "2026-06-02T08:00"),
        ("UTC", NIGHT, "2026-06-02T07:59:59", False, "2026-06-02T08:00"),
        ("UTC", NIGHT, "2026-06-02T08:00", True, "2026-06-02T22:00"),
        ("Asia/Kolkata", NIGHT, "2026-06-01T16:30", False, "2026-06-02T02:30"),
        ("Asia/Kathmandu", NIGHT, "2026-06-01T16:15", False, "2026-06-02T02:15"),
        # A night of 23 hours, and one of 25.
        ("Europe/Berlin", NIGHT, "2026-03-28T21:00", False, "2026-03-29T06:00"),
        ("Europe/Berlin", NIGHT, "2026-10-24T20:00", False, "2026-10-25T07:00"),
        # Half past two is left out: the end comes when the clock jumps over it.
        ("Europe/Berlin", QuietHours(time(20), time(2, 30)), "2026-03-29T00:00", False, "2026-03-29T01:00"),
        # Half past two comes twice: open for half an hour, and quiet once more.
        ("Europe/Berlin", QuietHours(time(20), time(2, 30)), "2026-10-25T00:00", False, "2026-10-25T00:30"),
        ("Europe/Berlin", QuietHours(time(20), time(2, 30)), "2026-10-25T00:30", True, "2026-10-25T01:00"),
        ("Europe/Berlin", QuietHours(time(20), time(2, 30)), "2026-10-25T01:00", False, "2026-10-25T01:30"),
        # The one hour that is not quiet is left out: it is waited for until the next day.
        ("Europe/Berlin", QuietHours(time(3), time(2)), "2026-03-28T03:00", False, "2026-03-30T00:00"),
    ],
)
def test_some_nights_by_hand(zone: str, quiet: QuietHours, now: str, is_open: bool, until: str) -> None:
    at, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (now, until))
    assert outlook(quiet, ZoneInfo(zone), at) == Outlook(is_open, end)


def test_equal_ends_forbid_nothing() -> None:
    now = datetime(2026, 6, 1, 23, tzinfo=UTC)
    assert outlook(QuietHours(time(8), time(8)), UTC, now) == Outlook(True, now + AHEAD)
    assert outlook(QuietHours(time(8), time(8)), fixed(timedelta(hours=5)), now).open


def snapshot(
    quiet: tuple[str, str] | None = None, mode: str | None = None, *, test_mode: bool = False
) -> ExecutionSnapshot:
    return ExecutionSnapshot.model_validate(
        {
            "messages": [FrozenMessage(id="m", content="Hi")],
            "audience": AudienceDefinition(),
            "options": ExecutionOptions(test_mode=test_mode),
            "samplingSeed": "s",
            "quietHours": quiet and FrozenHours(from_=quiet[0], to=quiet[1]),
            "timezoneMode": mode,
        }
    )


ORG = OrgSettings("acme", quiet_hours=NIGHT, timezone="Europe/Berlin", version=7)


def test_the_campaigns_hours_take_the_place_of_the_organisations() -> None:
    assert hours_of(snapshot(), 1, ORG) == Hours(NIGHT, "Europe/Berlin", True, (1 << 32) + 7)
    own = hours_of(snapshot(("12:00", "13:30"), "org"), 1, ORG)
    assert (own.quiet, own.own_zones) == (QuietHours(time(12), time(13, 30)), False)
    assert hours_of(snapshot(("08:00", "08:00")), 1, ORG).quiet is None


def test_tests_do_not_wait() -> None:
    assert hours_of(snapshot(("12:00", "13:30"), test_mode=True), 1, ORG).quiet is None


def test_an_edition_is_greater_after_every_change() -> None:
    editions = [
        hours_of(snapshot(), life, OrgSettings("acme", version=version)).edition
        for life, version in ((1, 0), (1, 1), (1, 2), (2, 2), (2, 3))
    ]
    assert editions == sorted(set(editions))


def test_whose_clock_counts() -> None:
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    each = Outlooks(hours_of(snapshot(), 1, ORG), noon)
    assert each.of("Asia/Tokyo").until == datetime(2026, 6, 1, 13, tzinfo=UTC)
    berlin = Outlook(True, datetime(2026, 6, 1, 20, tzinfo=UTC))
    assert each.of(None) == berlin
    assert each.of("Europe/Atlantis") == each.of("../etc/passwd") == berlin  # known when it was stored
    everybody = Outlooks(hours_of(snapshot(mode="org"), 1, ORG), noon)
    assert everybody.of("Asia/Tokyo") == berlin
    nowhere = OrgSettings("acme", quiet_hours=NIGHT, timezone="Europe/Atlantis")
    assert Outlooks(hours_of(snapshot(), 1, nowhere), noon).of(None).until.hour == 22
