"""What campaign-service's decisions do to an execution: a pure table of transitions.

    schedule   (nothing), failed unbegun, paused unbegun → scheduled
    begin      scheduled, paused or failed, each unbegun → planning
    pause      scheduled, planning, running              → paused
    resume     paused                                    → scheduled, planning or running, where it was
    mend       failed, paused                            → planning or running: a new snapshot, a new life
    stop       everything that has not ended             → cancelled; a failed one when it is named
    miss       unbegun                                   → failed

Whatever is not in the table answers the same execution: it is old news, or the execution ended first.
"""

from dataclasses import replace
from datetime import datetime

from contracts.events.campaign import ExecutionSnapshot

from execution_service.domain.execution import OPEN, BotRef, Execution, ExecutionStatus


class StepsDiffer(Exception):
    """The new snapshot has another number of messages: contacts stand between them, nobody knows where."""


def schedule(execution: Execution) -> Execution:
    """It waits (again) for its time."""
    waits = not execution.begun and execution.status in ("scheduled", "paused", "failed")
    return replace(execution, status="scheduled", failure=None, finished_at=None) if waits else execution


def begin(execution: Execution, snapshot: ExecutionSnapshot, *, now: datetime) -> Execution:
    """Its time has come."""
    if execution.begun or execution.status not in ("scheduled", "paused", "failed"):
        return execution
    return replace(
        execution,
        status="planning",
        frozen=snapshot,
        started_at=now,
        end_date=snapshot.end_date,
        budget=snapshot.budget,
        failure=None,
        finished_at=None,
    )


def pause(execution: Execution) -> Execution:
    """Nobody is sent to until it is resumed."""
    return replace(execution, status="paused") if execution.status in OPEN else execution


def resume(execution: Execution, *, now: datetime) -> Execution:
    """It goes on where it was."""
    if execution.status != "paused":
        return execution
    return replace(execution, status=_where(execution), resumed_at=now)


def mend(
    execution: Execution, snapshot: ExecutionSnapshot, *, bots: tuple[BotRef, ...], now: datetime
) -> Execution:
    """It goes on with `snapshot` for everybody who is still pending. Raises StepsDiffer."""
    if not execution.begun:
        return begin(execution, snapshot, now=now)
    if execution.status not in ("failed", "paused"):
        return execution
    if execution.plan.shards and len(snapshot.messages) != len(execution.snapshot.messages):
        raise StepsDiffer(execution.execution_id)
    return replace(
        execution,
        status=_where(execution),
        frozen=snapshot,
        bots=bots,
        end_date=snapshot.end_date,
        budget=snapshot.budget,
        failure=None,
        finished_at=None,
        life=execution.life + 1,
        resumed_at=now,
    )


def stop(execution: Execution, *, named: bool, now: datetime) -> Execution:
    """Nobody else is sent to, ever. `named`: the event is about this very execution."""
    if execution.status in OPEN or (named and execution.status == "failed"):
        return replace(execution, status="cancelled", finished_at=now)
    return execution


def miss(execution: Execution, failure: tuple[str, str], *, now: datetime) -> Execution:
    """It will not begin as it was meant to."""
    if execution.begun or execution.status not in OPEN:
        return execution
    return replace(execution, status="failed", failure=failure, finished_at=now)


def move_end(execution: Execution, end_date: datetime | None) -> Execution:
    """The campaign ends at another time."""
    ended = execution.status in ("completed", "cancelled")
    return execution if ended else replace(execution, end_date=end_date)


def change_budget(execution: Execution, budget: float | None) -> Execution:
    """The campaign's messages may cost another sum."""
    ended = execution.status in ("completed", "cancelled")
    return execution if ended else replace(execution, budget=budget)


def _where(execution: Execution) -> ExecutionStatus:
    """The status in which it goes on."""
    if not execution.begun:
        return "scheduled"
    return "running" if execution.plan.done else "planning"
