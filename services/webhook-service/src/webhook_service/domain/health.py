"""How an endpoint fares, and when nothing is sent to it: a circuit breaker.

Mental model: failures that say "not now" (no answer, 5xx, 429) are counted; a success or any other answer
begins the count anew. At the limit, or at once when the answer asks to be left alone (429, 502, 504), the
endpoint is paused: nothing is sent, and waiting costs no attempt. After the pause one delivery goes as a
probe. Its success ends the pause for all; its failure begins a longer one. All of this is in the endpoint's
row, so that all deliverers go by it. Pure: time comes from the caller.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from webhook_service.domain.delivery import Answer
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.retry import retry_after_seconds

ASKS_TO_WAIT = frozenset({429, 502, 504})
SILENCE = timedelta(days=2)
"""Nothing has failed for so long (more than lies between two attempts): failing begins anew. Else a failure
of long ago and one of now would look like days of them.
"""
GROWTH = 12
"""Pauses double at most so often: any more would overflow long before anybody waited for it."""


class Effect(StrEnum):
    """What an answer says about its endpoint."""

    SUCCESS = "success"
    ANSWERED = "answered"
    """It refused this delivery, but is there."""
    TROUBLE = "trouble"
    """It is not there, or not well."""
    BUSY = "busy"
    """It is not well, and asks to be left alone."""


@dataclass(frozen=True, slots=True)
class BreakerRules:
    """`failures` in a row pause the endpoint, for `first_seconds` to `most_seconds`.

    `disable_after`: how long nothing may have succeeded before it is switched off.
    """

    failures: int
    first_seconds: float
    most_seconds: float
    disable_after: timedelta


@dataclass(frozen=True, slots=True)
class Report:
    """What some answers of one endpoint say together, in their order.

    `succeeded`: one of them was a success; `failing`: the last one was none. `calmed`: one was no trouble;
    `troubles`: how many came since the last such one, or in all. `wait_seconds`: what busy ones asked for at
    most, None without any. `probed`: one of them was the probe, and this is what it said.
    """

    succeeded: bool = False
    failing: bool = False
    calmed: bool = False
    troubles: int = 0
    wait_seconds: float | None = None
    probed: Effect | None = None

    def then(self, effect: Effect, *, wait_seconds: float, probe: bool) -> "Report":
        """With one answer more."""
        if effect is Effect.SUCCESS and not probe and (self is NOTHING or self is ALL_WELL):
            return ALL_WELL  # nearly all of them
        trouble = effect in (Effect.TROUBLE, Effect.BUSY)
        waits = [self.wait_seconds] if self.wait_seconds is not None else []
        waits += [wait_seconds] if effect is Effect.BUSY else []
        return Report(
            succeeded=self.succeeded or effect is Effect.SUCCESS,
            failing=effect is not Effect.SUCCESS,
            calmed=self.calmed or not trouble,
            troubles=self.troubles + 1 if trouble else 0,
            wait_seconds=max(waits, default=None),
            probed=effect if probe else self.probed,
        )

    @property
    def probe_passed(self) -> bool:
        """The endpoint is well again."""
        return self.probed in (Effect.SUCCESS, Effect.ANSWERED)


NOTHING = Report()
ALL_WELL = Report(succeeded=True, calmed=True)


def effect_of(answer: Answer) -> Effect:
    """What `answer` says about its endpoint."""
    status = answer.status_code
    if status is None or answer.error is not None:
        return Effect.TROUBLE
    if status in ASKS_TO_WAIT:
        return Effect.BUSY
    if status >= 500:
        return Effect.TROUBLE
    return Effect.SUCCESS if 200 <= status < 300 else Effect.ANSWERED


def wait_asked(answer: Answer, *, now: datetime) -> float:
    """Seconds that the endpoint as a whole shall be left alone, as far as `answer` says so."""
    if effect_of(answer) is not Effect.BUSY:
        return 0.0
    return retry_after_seconds(answer.retry_after, now=now)


def pause_after(endpoint: Endpoint, report: Report, *, rules: BreakerRules, now: datetime) -> datetime | None:
    """Until when to pause `endpoint`, as it stands after `report` was counted. None: do not, or no longer.

    What comes back during a pause from requests of before it makes it no longer, unless it asks for that.
    """
    busy = report.wait_seconds
    paused = endpoint.paused_until is not None and now < endpoint.paused_until
    probe_failed = report.probed in (Effect.TROUBLE, Effect.BUSY)
    if paused and not probe_failed:
        asked = now + timedelta(seconds=busy or 0)
        return asked if busy and endpoint.paused_until is not None and asked > endpoint.paused_until else None
    if not probe_failed and busy is None and endpoint.failures < rules.failures:
        return None
    grown = rules.first_seconds * 2 ** min(endpoint.pauses, GROWTH)
    return now + timedelta(seconds=max(min(grown, rules.most_seconds), busy or 0))


def is_failing_for_good(endpoint: Endpoint, *, rules: BreakerRules, now: datetime) -> bool:
    """Whether nothing has succeeded for so long that it is switched off."""
    return endpoint.failing_since is not None and now - endpoint.failing_since >= rules.disable_after
