"""What an answer means and when the next attempt is, on a clock that stands still."""

from datetime import UTC, datetime, timedelta

import pytest
from webhook_service.domain.delivery import Answer, Status
from webhook_service.domain.retry import MAX_RETRY_AFTER_SECONDS, judge, retry_after_seconds
from webhook_service.settings import DEFAULT_SCHEDULE

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def answered(status: int | None, *, retry_after: str | None = None, error: str | None = None) -> Answer:
    return Answer(status, error, retry_after, None, 3)


def verdict(
    answer: Answer, *, made: int = 0, chance: float = 0.0, schedule: tuple[float, ...] = DEFAULT_SCHEDULE
):
    return judge(answer, attempts_made=made, schedule=schedule, now=NOW, chance=chance)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_succeeds_and_ends_the_delivery(status: int):
    found = verdict(answered(status, retry_after="60"))
    assert (found.status, found.next_attempt_at, found.error) == (Status.SUCCEEDED, None, None)


@pytest.mark.parametrize("status", [100, 199, 301, 302, 304, 307, 308, 400, 404, 429, 500, 503])
def test_every_other_status_is_tried_again(status: int):
    found = verdict(answered(status))
    assert found.status is Status.PENDING
    assert str(status) in (found.error or "")
    assert found.next_attempt_at == NOW + timedelta(seconds=5)


def test_no_answer_is_tried_again_and_says_why():
    found = verdict(answered(None, error="the connection broke"))
    assert (found.status, found.error) == (Status.PENDING, "the connection broke")


def test_the_attempts_follow_the_schedule_and_then_the_delivery_fails():
    waits = []
    made = 0
    while (found := verdict(answered(500), made=made)).next_attempt_at is not None:
        waits.append((found.next_attempt_at - NOW).total_seconds())
        made += 1
    assert waits == [5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400]
    assert found.status is Status.FAILED
    assert made + 1 == 10


@pytest.mark.parametrize(("chance", "seconds"), [(-1, 270), (0, 300), (0.5, 315), (1, 330)])
def test_a_wait_jitters_by_a_tenth_at_most(chance: float, seconds: float):
    assert verdict(answered(500), made=1, chance=chance).next_attempt_at == NOW + timedelta(seconds=seconds)


def test_retry_after_is_a_floor_that_the_jitter_cannot_undercut():
    later = verdict(answered(429, retry_after="60"), chance=-1).next_attempt_at
    assert later == NOW + timedelta(seconds=60)
    scheduled = verdict(answered(429, retry_after="60"), made=1).next_attempt_at
    assert scheduled == NOW + timedelta(seconds=300)


def test_retry_after_gives_no_attempt_beyond_the_last():
    assert verdict(answered(503, retry_after="1"), made=9).status is Status.FAILED


@pytest.mark.parametrize("made", [0, 9])
def test_410_parks_the_delivery_and_says_that_the_endpoint_is_gone(made: int):
    found = verdict(answered(410), made=made)
    assert (found.status, found.next_attempt_at, found.gone) == (Status.PARKED, None, True)


def test_an_empty_schedule_means_one_attempt():
    assert verdict(answered(500), schedule=()).status is Status.FAILED


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, 0), ("", 0), ("0", 0), ("120", 120), (" 7 ", 7), ("-5", 0), ("1.5", 0), ("soon", 0), ("²", 0),
        ("9" * 5000, MAX_RETRY_AFTER_SECONDS),
        ("Thu, 01 Jan 2026 12:01:30 GMT", 90),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0),
        ("Thu, 01 Jan 2026 12:01:30 -0000", 90),
        ("Fri, 31 Dec 9999 23:59:59 GMT", MAX_RETRY_AFTER_SECONDS),
        ("Thu, 99 Jan 2026 12:01:30 GMT", 0),
        ("Mon, 01 Jan 99999999999 00:00:00 GMT", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float):
    assert retry_after_seconds(value, now=NOW) == seconds
