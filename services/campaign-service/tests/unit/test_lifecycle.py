"""The state machine and the campaign's steps through it."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args

import pytest
from campaign_service.domain.campaign import Campaign, Failure
from campaign_service.domain.errors import ExecutionRunning, InvalidTransition
from campaign_service.domain.lifecycle import Action, next_status
from contracts.events.campaign import CampaignStatus

LATER = datetime(2024, 6, 1, 13, tzinfo=UTC)
ALLOWED = {("draft", "execute"): "active", ("active", "complete"): "completed", ("active", "fail"): "paused"}
New = Callable[..., Campaign]


@pytest.mark.parametrize("status", get_args(CampaignStatus))
@pytest.mark.parametrize("action", get_args(Action))
def test_only_the_transitions_of_the_contract_are_allowed(status: CampaignStatus, action: Action) -> None:
    expected = ALLOWED.get((status, action))
    if expected is not None:
        assert next_status(status, action) == expected
        return
    with pytest.raises(InvalidTransition) as refused:
        next_status(status, action)
    assert status in refused.value.message and "to" in refused.value.message


def test_a_run_takes_the_campaign_from_draft_to_completed_one_version_a_step(new_campaign: New) -> None:
    started = new_campaign().start("exec_1", test_mode=False, now=LATER)
    assert (started.status, started.version, started.updated_at) == ("active", 2, LATER)
    assert started.runs("exec_1") and not started.runs("exec_2")
    done = started.complete(now=LATER)
    assert (done.status, done.version) == ("completed", 3)
    assert not done.runs("exec_1")


def test_a_test_run_leaves_the_status_as_it_was(new_campaign: New) -> None:
    started = new_campaign().start("exec_1", test_mode=True, now=LATER)
    assert (started.status, started.version) == ("draft", 2)
    assert started.complete(now=LATER).status == "draft"
    assert started.fail(Failure("X", "x"), now=LATER).status == "draft"


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
def test_nothing_starts_while_an_execution_runs(new_campaign: New, first: bool, second: bool) -> None:
    started = new_campaign().start("exec_1", test_mode=first, now=LATER)
    with pytest.raises(ExecutionRunning):
        started.start("exec_2", test_mode=second, now=LATER)


@pytest.mark.parametrize("test_mode", [True, False])
@pytest.mark.parametrize("status", ["completed", "cancelled"])
def test_a_final_campaign_starts_no_more(new_campaign: New, status: str, test_mode: bool) -> None:
    with pytest.raises(InvalidTransition, match=status):
        new_campaign(status=status).start("exec_1", test_mode=test_mode, now=LATER)


def test_a_failure_pauses_and_is_shown_until_the_next_start(new_campaign: New) -> None:
    failed = new_campaign().start("exec_1", test_mode=False, now=LATER).fail(Failure("X", "x"), now=LATER)
    assert (failed.status, failed.failure) == ("paused", Failure("X", "x"))
    assert failed.start("exec_2", test_mode=True, now=LATER).failure is None
