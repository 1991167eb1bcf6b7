"""Every decision of campaign-service, on an execution in every status."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.domain import steering
from execution_service.domain.execution import BotRef, Execution, ExecutionStatus, Plan

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
STATUSES: tuple[ExecutionStatus, ...] = get_args(ExecutionStatus)
BOT = BotRef("bot_2", 2)


def snapshot(*messages: str, end_date: datetime | None = None) -> ExecutionSnapshot:
    return ExecutionSnapshot(
        messages=[FrozenMessage(id=f"m{n}", content=text) for n, text in enumerate(messages)],
        audience=AudienceDefinition(),
        options=ExecutionOptions(),
        sampling_seed="s",
        end_date=end_date,
    )


NOT_PLANNED = Plan()


def execution(status: ExecutionStatus, *, begun: bool = True, plan: Plan = NOT_PLANNED) -> Execution:
    failure = ("X", "x") if status == "failed" else None
    finished = NOW if status in ("completed", "failed", "cancelled") else None
    return Execution(
        "exec_1", "acme", "camp_1", status, snapshot("a") if begun else None, NOW,
        plan=plan, failure=failure, finished_at=finished,
    )  # fmt: skip


PLANNED = Plan("k", 2, 9, done=True)
HALF = Plan("k", 1, 5)


@pytest.mark.parametrize("status", STATUSES)
def test_what_has_not_ended_can_be_paused_and_nothing_else(status: ExecutionStatus) -> None:
    before = execution(status)
    after = steering.pause(before)
    if status in ("scheduled", "planning", "running", "paused"):
        assert after == replace(before, status="paused")
    else:
        assert after is before


@pytest.mark.parametrize("status", STATUSES)
def test_resuming_moves_only_what_is_paused(status: ExecutionStatus) -> None:
    before = execution(status, plan=PLANNED)
    after = steering.resume(before, now=NOW)
    assert after.status == ("running" if status == "paused" else status)
    assert status == "paused" or after is before


def test_resuming_goes_on_where_it_was() -> None:
    assert steering.resume(execution("paused", plan=HALF), now=NOW).status == "planning"
    assert steering.resume(execution("paused", plan=PLANNED), now=NOW).status == "running"
    assert steering.resume(execution("paused", begun=False), now=NOW).status == "scheduled"


@pytest.mark.parametrize("status", STATUSES)
def test_stopping_ends_what_has_not_ended_and_a_failed_one_only_when_it_is_named(
    status: ExecutionStatus,
) -> None:
    ends = status in ("scheduled", "planning", "running", "paused")
    before = execution(status)
    for named in (True, False):
        after = steering.stop(before, named=named, now=LATER)
        if ends or (named and status == "failed"):
            assert (after.status, after.finished_at) == ("cancelled", LATER)
        else:
            assert after is before


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_only_what_waits_or_failed_before_it_began_can_begin_or_be_scheduled(
    status: ExecutionStatus, begun: bool
) -> None:
    before = execution(status, begun=begun)
    begins = not begun and status in ("scheduled", "paused", "failed")
    scheduled = steering.schedule(before)
    started = steering.begin(before, snapshot("b", end_date=LATER), now=LATER)
    if begins:
        assert (scheduled.status, scheduled.failure, scheduled.finished_at) == ("scheduled", None, None)
        assert (started.status, started.snapshot.messages[0].content) == ("planning", "b")
        assert (started.started_at, started.end_date, started.failure) == (LATER, LATER, None)
    else:
        assert scheduled is before
        assert started is before


@pytest.mark.parametrize("status", STATUSES)
def test_mending_gives_a_failed_execution_a_new_life_with_what_was_mended(status: ExecutionStatus) -> None:
    before = execution(status, plan=PLANNED)
    after = steering.mend(before, snapshot("b", end_date=LATER), bots=(BOT,), now=NOW)
    if status in ("failed", "paused"):
        assert (after.status, after.life, after.bots, after.end_date) == ("running", 2, (BOT,), LATER)
        assert (after.failure, after.finished_at, after.plan) == (None, None, PLANNED)
        assert after.snapshot.messages[0].content == "b"
    else:
        assert after is before


def test_mending_plans_on_where_planning_had_stopped_and_begins_what_had_not_begun() -> None:
    assert (
        steering.mend(execution("failed", plan=HALF), snapshot("b"), bots=(BOT,), now=NOW).status
        == "planning"
    )
    begun = steering.mend(execution("failed", begun=False), snapshot("b"), bots=(BOT,), now=NOW)
    assert (begun.status, begun.life) == ("planning", 1)


def test_another_number_of_messages_is_refused_once_contacts_are_planned() -> None:
    with pytest.raises(steering.StepsDiffer):
        steering.mend(execution("failed", plan=HALF), snapshot("b", "c"), bots=(BOT,), now=NOW)
    mended = steering.mend(execution("failed"), snapshot("b", "c"), bots=(BOT,), now=NOW)
    assert len(mended.snapshot.messages) == 2


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_only_what_has_not_begun_can_miss_its_time(status: ExecutionStatus, begun: bool) -> None:
    before = execution(status, begun=begun)
    after = steering.miss(before, ("SCHEDULE_MISSED", "too late"), now=LATER)
    if not begun and status in ("scheduled", "planning", "running", "paused"):
        assert (after.status, after.failure) == ("failed", ("SCHEDULE_MISSED", "too late"))
        assert after.finished_at == LATER
    else:
        assert after is before


@pytest.mark.parametrize("status", STATUSES)
def test_the_end_moves_until_the_execution_is_over(status: ExecutionStatus) -> None:
    before = execution(status)
    after = steering.move_end(before, LATER)
    assert after.end_date == (None if status in ("completed", "cancelled") else LATER)


@pytest.mark.parametrize("status", STATUSES)
def test_the_budget_changes_until_the_execution_is_over(status: ExecutionStatus) -> None:
    after = steering.change_budget(execution(status), 12.5)
    assert after.budget == (None if status in ("completed", "cancelled") else 12.5)
