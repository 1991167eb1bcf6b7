"""How far an execution is, from the sums over its shards."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from contracts.outcome_codes import MESSAGES

from execution_service.domain.duration import seconds_to_send
from execution_service.domain.execution import Execution, ShardSums
from execution_service.domain.quiet_hours import Hours

ProgressStatus = Literal["idle", "scheduled", "running", "paused", "completed", "failed", "cancelled"]
_LONGEST_SECONDS = 10 * 365 * 86_400
"""Nobody waits for what lies beyond that, and dates end."""
RATE_SECONDS = 60
"""The rate is looked at over the last minute."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """So many contacts did not get it for this reason."""

    code: str
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many contacts wait for their quiet hours to end, the first of them until `until`."""

    count: int
    until: datetime | None


NOBODY_WAITS = Waiting(0, None)


@dataclass(frozen=True, slots=True)
class Progress:
    """In contacts: total = processed + pending, processed = successful + failed + skipped + unknown.

    `rate` is messages a minute; `percentage` is whole percent, rounded down.
    """

    status: ProgressStatus
    sums: ShardSums
    rate: int
    estimated_completion: datetime | None
    errors: tuple[ErrorCount, ...]
    execution: Execution | None
    waiting: Waiting = NOBODY_WAITS

    @property
    def pending(self) -> int:
        """Contacts without an outcome."""
        return self.sums.targeted - self.sums.processed

    @property
    def percentage(self) -> int:
        """Of the contacts known so far; an execution without any is complete when it is completed."""
        if self.sums.targeted == 0:
            return 100 if self.status == "completed" else 0
        return 100 * self.sums.processed // self.sums.targeted


IDLE = Progress("idle", ShardSums(), 0, None, (), None)


def shown_status(execution: Execution) -> ProgressStatus:
    """Its status as clients know it: planning is a part of running."""
    return "running" if execution.status == "planning" else execution.status


def bot_share(execution: Execution, rates: Mapping[int, int], weights: Mapping[int, int]) -> float:
    """Messages a second that its bots let `execution` send, beside the others underway.

    `rates` and `weights` are by Telegram's bot id: messages a second, and the sum of the weights of the
    executions that share it. A bot that is gone sends nothing.
    """
    mine = execution.weight
    ids = [bot.telegram_id for bot in execution.bots]
    return sum(rates.get(bot, 0) * mine / max(mine, weights.get(bot, 0)) for bot in ids)


def measure(
    execution: Execution,
    sums: ShardSums,
    *,
    sent_lately: int,
    hours: Hours | None,
    allowed: float = 0,
    now: datetime,
) -> Progress:
    """The progress of `execution`; `sent_lately` is messages of the last minute, or since it began.

    `allowed`: messages a second that it may send, for the time to its end while nothing tells how many it
    does send; 0 when unknown. `hours` tell when its contacts may be sent to (None: it does not run).
    """
    status = shown_status(execution)
    running = status == "running"
    age = (now - (execution.started_at or execution.created_at)).total_seconds()
    rate = round(sent_lately * 60 / min(RATE_SECONDS, max(1.0, age))) if running else 0
    errors = tuple(
        ErrorCount(code, count, MESSAGES.get(code, code))
        for code, count in sorted(sums.errors.items(), key=lambda item: (-item[1], item[0]))
    )
    per_second = rate / 60 or allowed
    end = None
    if hours is not None and running and execution.plan.done and per_second > 0:
        steps = len(execution.snapshot.messages)
        left = {zone: count * steps for zone, count in sums.pending.items()}
        seconds = seconds_to_send(left, per_second=per_second, hours=hours, begin=now)
        end = now + timedelta(seconds=min(seconds, _LONGEST_SECONDS))
    waiting = _waiting(sums, now) if running else NOBODY_WAITS
    return Progress(status, sums, rate, end, errors, execution, waiting)


def _waiting(sums: ShardSums, now: datetime) -> Waiting:
    """Those whose turn has come meanwhile do not wait any more."""
    held = {until: count for until, count in sums.held.items() if until > now}
    return Waiting(sum(held.values()), min(held, default=None))
