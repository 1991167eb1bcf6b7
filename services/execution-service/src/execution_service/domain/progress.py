"""How far an execution is, from the sums over its shards."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from execution_service.domain.execution import Execution, ShardSums
from execution_service.domain.outcomes import MESSAGES

ProgressStatus = Literal["idle", "scheduled", "running", "paused", "completed", "failed", "cancelled"]
RATE_SECONDS = 60
"""The rate is looked at over the last minute."""


@dataclass(frozen=True, slots=True)
class ErrorCount:
    """So many contacts did not get it for this reason."""

    code: str
    count: int
    message: str


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


def measure(execution: Execution, sums: ShardSums, *, sent_lately: int, now: datetime) -> Progress:
    """The progress of `execution`; `sent_lately` is messages of the last minute, or since it began."""
    status = shown_status(execution)
    running = status == "running"
    age = (now - (execution.started_at or execution.created_at)).total_seconds()
    rate = round(sent_lately * 60 / min(RATE_SECONDS, max(1.0, age))) if running else 0
    errors = tuple(
        ErrorCount(code, count, MESSAGES.get(code, code))
        for code, count in sorted(sums.errors.items(), key=lambda item: (-item[1], item[0]))
    )
    left = sums.targeted - sums.processed
    known = running and execution.plan.done and rate > 0
    end = now + timedelta(minutes=left / rate) if known else None
    return Progress(status, sums, rate, end, errors, execution)
