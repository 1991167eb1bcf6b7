"""How long an execution takes when it waits for its contacts' hours."""

from datetime import UTC, datetime, time, timedelta

import pytest
from execution_service.domain.duration import seconds_to_send
from execution_service.domain.org_settings import QuietHours
from execution_service.domain.quiet_hours import Hours
from hypothesis import given, settings
from hypothesis import strategies as st

HOUR = 3600.0
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
NIGHT = Hours(QuietHours(time(22), time(8)), "UTC", own_zones=True, edition=0)
ZONES = st.sampled_from([None, "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"])


@pytest.mark.parametrize(
    ("messages", "begin", "hours"),
    [
        ({None: 7200}, 12, 2.0),  # by day nobody waits
        ({None: 7200}, 23, 9 + 2.0),  # until 8, and then all
        ({None: 7200}, 21, 1 + 10 + 1.0),  # an hour's worth before the night
        ({"Asia/Tokyo": 3600, None: 3600}, 23, 1.0 + 8 + 1),  # Tokyo at once, the others at 8
        ({"Asia/Tokyo": 3600, "Europe/Berlin": 36}, 14, 0.01 + 8.99 + 1),  # it is 23 o'clock in Tokyo
    ],
)
def test_those_whose_hours_have_come_are_sent_to_meanwhile(
    messages: dict[str | None, float], begin: int, hours: float
) -> None:
    start = NOON.replace(hour=begin)
    assert seconds_to_send(messages, per_second=1, hours=NIGHT, begin=start) == pytest.approx(hours * HOUR)


def test_on_the_organisations_clock_it_is_night_for_everybody_at_once() -> None:
    hours = Hours(NIGHT.quiet, "UTC", own_zones=False, edition=0)
    found = seconds_to_send(
        {"Asia/Tokyo": 3600, None: 3600}, per_second=1, hours=hours, begin=NOON.replace(hour=23)
    )
    assert found == pytest.approx(11 * HOUR)


def test_without_quiet_hours_only_the_rate_counts_and_nobody_takes_no_time() -> None:
    hours = Hours(None, "UTC", own_zones=True, edition=0)
    assert seconds_to_send({"Asia/Tokyo": 30, None: 60}, per_second=30, hours=hours, begin=NOON) == 3
    assert seconds_to_send({}, per_second=30, hours=NIGHT, begin=NOON) == 0


def test_what_takes_years_is_told_by_the_pace_of_the_first_months() -> None:
    years = 3 * 365 * 24 * HOUR
    found = seconds_to_send({None: years * 14 / 24}, per_second=1, hours=NIGHT, begin=NOON)
    assert found == pytest.approx(years, rel=0.01)


@given(
    st.dictionaries(ZONES, st.integers(0, 100_000), max_size=5),
    st.integers(0, 96),
    st.sampled_from([datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 24, tzinfo=UTC), NOON]),
)
@settings(deadline=None, max_examples=60)
def test_it_is_never_faster_than_the_rate_nor_slower_than_nights_make_it(
    messages: dict[str | None, int], quarters: int, day: datetime
) -> None:
    begin = day + quarters * timedelta(minutes=15)
    told: dict[str | None, float] = {**messages}
    found = seconds_to_send(told, per_second=1, hours=NIGHT, begin=begin)
    assert found >= sum(told.values()) - 1e-6
    alone = [
        seconds_to_send({zone: count}, per_second=1, hours=NIGHT, begin=begin) for zone, count in told.items()
    ]
    assert found >= max(alone, default=0) - 1e-3
    # As long as anybody is left the rate is used for thirteen hours of every day at least.
    days = sum(told.values()) // (13 * HOUR) + 2
    assert found <= days * 24 * HOUR
