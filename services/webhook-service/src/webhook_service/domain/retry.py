"""What an answer means, and when to try again. Pure: time and chance come from the caller.

Source: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
(2xx succeeds, 410 switches the endpoint off, redirects are failures) and RFC 9110 section 10.2.3
for Retry-After.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from webhook_service.domain.delivery import Answer, Status

JITTER = 0.1
MAX_RETRY_AFTER_SECONDS = 7 * 24 * 3600
"""A longer wish is cut: it would outlive the delivery, and absurd numbers overflow a date."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of a delivery after an attempt. `gone`: the endpoint wants nothing ever again."""

    status: Status
    next_attempt_at: datetime | None
    error: str | None
    gone: bool = False


def judge(
    answer: Answer, *, attempts_made: int, schedule: tuple[float, ...], now: datetime, chance: float
) -> Verdict:
    """The verdict after `answer`, the attempt before which `attempts_made` were made.

    `schedule` are the waits in seconds between attempts, so there are at most len(schedule) + 1.
    `chance` in [-1, 1] picks the jitter.
    """
    error = _error(answer)
    if error is None:
        return Verdict(Status.SUCCEEDED, None, None)
    if answer.status_code == 410:
        return Verdict(Status.PARKED, None, error, gone=True)
    if attempts_made >= len(schedule):
        return Verdict(Status.FAILED, None, error)
    wait = schedule[attempts_made] * (1 + JITTER * chance)
    floor = retry_after_seconds(answer.retry_after, now=now)
    return Verdict(Status.PENDING, now + timedelta(seconds=max(wait, floor)), error)


def _error(answer: Answer) -> str | None:
    if answer.error is not None:
        return answer.error
    status = answer.status_code or 0
    if 200 <= status < 300:
        return None
    return f"redirects are not followed ({status})" if 300 <= status < 400 else f"answered {status}"


def retry_after_seconds(value: str | None, *, now: datetime) -> float:
    """Seconds that a Retry-After header asks for: a number or an HTTP date; 0 for anything else."""
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        # Cut the digits first: Python refuses to read numbers of many thousands of digits.
        return float(min(int(text[:12]), MAX_RETRY_AFTER_SECONDS))
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # the latter for a year of many digits
        return 0.0
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return min(max((at - now).total_seconds(), 0.0), float(MAX_RETRY_AFTER_SECONDS))
