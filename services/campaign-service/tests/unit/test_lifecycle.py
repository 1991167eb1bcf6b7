"""The state machine and the campaign's steps through it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import ExecutionRunning, InvalidTransition, NotEditable
from campaign_service.domain.execution import Execution, Failure, Options, Outcome, Retry
from campaign_service.domain.lifecycle import COMMANDS, Action, command_for, next_status
from contracts.events.campaign import CampaignStatus
from service_kit.errors import FieldErrors

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
ALLOWED: dict[tuple[str, str], str] = {
    ("draft", "execute"): "active",
    ("active", "pause"): "paused",
    ("paused", "resume"): "active",
    ("active", "complete"): "completed",
    ("active", "fail"): "paused",
    ("paused", "fail"): "paused",
    ("draft", "cancel"): "cancelled",
    ("active", "cancel"): "cancelled",
    ("paused", "cancel"): "cancelled",
    ("completed", "retry"): "active",
}
OUTCOME = Outcome(3, 3, 0, 0, 0, completed_at=LATER)
STATUSES = get_args(CampaignStatus)
New = Callable[..., Campaign]
Command = Callable[[Campaign], Campaign]
COMMAND_STEPS: dict[str, Command] = {
    "execute": lambda c: c.start("exec_2", Options(), steps=1, now=LATER),
    "schedule": lambda c: c.schedule("exec_2", LATER, Options(), now=NOW),
    "pause": lambda c: c.pause(now=LATER),
    "resume": lambda c: c.resume(now=LATER),
    "cancel": lambda c: c.cancel(now=LATER),
    "complete": lambda c: c.complete(OUTCOME, now=LATER),
    "fail": lambda c: c.fail(Failure("X", "x"), now=LATER),
    "retry": lambda c: c.retry("exec_2", Retry("exec_1", ("failed",)), steps=1, now=LATER),
    "delete": lambda c: c.delete(now=LATER),
}
DELETABLE = {"draft", "cancelled"}


def in_status(new: New, status: str) -> Campaign:
    """A campaign that came there as campaigns do."""
    draft = new()
    running = draft.start("exec_1", Options(), steps=1, now=NOW)
    return {
        "draft": draft,
        "active": running,
        "paused": running.pause(now=NOW),
        "completed": running.complete(OUTCOME, now=NOW),
        "cancelled": running.cancel(now=NOW),
    }[status]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("action", get_args(Action))
def test_only_the_transitions_of_the_contract_are_allowed(status: CampaignStatus, action: Action) -> None:
    expected = ALLOWED.get((status, action))
    if expected is not None:
        assert next_status(status, action) == expected
        return
    with pytest.raises(InvalidTransition) as refused:
        next_status(status, action)
    assert status in refused.value.message and "to" in refused.value.message


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("command", COMMAND_STEPS)
def test_every_command_in_every_status_makes_the_tables_step_or_is_refused(
    new_campaign: New, status: str, command: str
) -> None:
    before = in_status(new_campaign, status)
    action = "execute" if command == "schedule" else command
    allowed = status in DELETABLE if command == "delete" else (status, action) in ALLOWED
    if not allowed:
        with pytest.raises((InvalidTransition, ExecutionRunning)):
            COMMAND_STEPS[command](before)
        return
    after = COMMAND_STEPS[command](before)
    assert after.status == ALLOWED.get((status, action), status)
    assert after.version == before.version + 1


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("wanted", STATUSES)
def test_setting_a_status_is_the_command_of_that_name_or_nothing(
    status: CampaignStatus, wanted: CampaignStatus
) -> None:
    if (status, wanted) in COMMANDS:
        action = command_for(status, wanted)
        assert ALLOWED[status, action] == wanted
        return
    with pytest.raises(InvalidTransition):
        command_for(status, wanted)
    assert not any(
        ALLOWED.get((status, action)) == wanted for action in ("execute", "pause", "resume", "cancel")
    )


def test_a_run_takes_the_campaign_from_draft_to_completed_one_version_a_step(new_campaign: New) -> None:
    started = new_campaign().start("exec_1", Options(), steps=1, now=LATER)
    assert (started.status, started.version, started.updated_at) == ("active", 2, LATER)
    assert started.runs("exec_1") and not started.runs("exec_2")
    done = started.complete(OUTCOME, now=LATER)
    assert (done.status, done.version) == ("completed", 3)
    assert not done.runs("exec_1")


def test_a_test_run_leaves_the_status_and_the_failed_execution_as_they_were(new_campaign: New) -> None:
    failed = in_status(new_campaign, "active").fail(Failure("X", "x"), now=LATER)
    testing = failed.start_test("exec_9", now=LATER)
    assert (testing.status, testing.version, testing.failure) == ("paused", 4, Failure("X", "x"))
    done = testing.end_test(now=LATER)
    assert not done.tests("exec_9") and done.execution == failed.execution
    assert done.resume(now=LATER).runs("exec_1")


@pytest.mark.parametrize("state", ["scheduled", "running", "testing"])
def test_nothing_starts_while_an_execution_has_not_ended(new_campaign: New, state: str) -> None:
    draft = new_campaign()
    busy = {
        "scheduled": draft.schedule("exec_1", LATER, Options(), now=NOW),
        "running": draft.start("exec_1", Options(), steps=1, now=NOW),
        "testing": draft.start_test("exec_1", now=NOW),
    }[state]
    for test_mode in (True, False):
        with pytest.raises(ExecutionRunning):
            busy.ensure_startable(test_mode=test_mode)


@pytest.mark.parametrize("test_mode", [True, False])
@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_final_campaign_starts_no_more(new_campaign: New, status: str, test_mode: bool) -> None:
    with pytest.raises(InvalidTransition, match=status):
        in_status(new_campaign, status).ensure_startable(test_mode=test_mode)


def test_a_schedule_is_due_only_while_the_campaign_is_active(new_campaign: New) -> None:
    waiting = new_campaign().schedule("exec_1", LATER, Options(50, "high"), now=NOW)
    assert (waiting.status, waiting.due_at, waiting.scheduled_at) == ("active", LATER, LATER)
    held = waiting.pause(now=NOW)
    assert (held.due_at, held.scheduled_at) == (None, LATER)
    assert held.resume(now=NOW).due_at == LATER
    late = LATER + timedelta(days=2)
    assert held.resume(now=late).due_at == late
    assert waiting.cancel(now=NOW).scheduled_at is None
    begun = waiting.begin(steps=2, now=LATER)
    assert begun.runs("exec_1") and begun.due_at is None
    assert begun.execution == Execution("exec_1", "running", Options(50, "high"), steps=2)


def test_a_failure_pauses_and_is_shown_until_it_is_resumed(new_campaign: New) -> None:
    failed = in_status(new_campaign, "active").fail(Failure("X", "x"), now=LATER)
    assert (failed.status, failed.failure) == ("paused", Failure("X", "x"))
    resumed = failed.resume(now=LATER)
    assert resumed.failure is None and resumed.runs("exec_1")


def test_a_schedule_that_failed_before_it_began_has_not_begun(new_campaign: New) -> None:
    missed = new_campaign().schedule("exec_1", LATER, Options(), now=NOW).fail(Failure("X", "x"), now=LATER)
    assert missed.execution is not None and not missed.execution.begun and missed.scheduled_at is None
    assert not missed.resume(now=LATER).runs("exec_1")


CHANGES: dict[str, Any] = {
    "name": "New",
    "description": "New",
    "budget": 7.0,
    "end_date": LATER + timedelta(days=1),
    "start_date": LATER,
    "messages": (),
    "type": "engagement",
}
ALWAYS = {"name", "description", "budget", "end_date"}


@pytest.mark.parametrize("field", CHANGES)
@pytest.mark.parametrize("status", STATUSES)
def test_what_may_be_edited_follows_from_the_status(new_campaign: New, status: str, field: str) -> None:
    before = in_status(new_campaign, status)
    definition = replace(before.definition, **{field: CHANGES[field]})
    editable = status == "draft" or (status in ("active", "paused") and field in ALWAYS)
    if editable:
        assert before.edit(definition, now=LATER).definition == definition
        return
    with pytest.raises(NotEditable) as refused:
        before.edit(definition, now=LATER)
    assert status in refused.value.message


def test_after_a_failure_everything_may_be_edited(new_campaign: New) -> None:
    failed = in_status(new_campaign, "active").fail(Failure("X", "x"), now=LATER)
    definition = replace(failed.definition, **CHANGES)
    assert failed.edit(definition, now=LATER).definition == definition


def test_an_end_before_the_scheduled_start_is_refused(new_campaign: New) -> None:
    waiting = new_campaign().schedule("exec_1", LATER, Options(), now=NOW)
    with pytest.raises(FieldErrors, match="endDate"):
        waiting.edit(replace(waiting.definition, end_date=LATER), now=NOW)
