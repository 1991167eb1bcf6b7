"""Retrying a completed campaign."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.end_execution import complete_campaign, fail_campaign
from campaign_service.application.resume_campaign import resume_campaign
from campaign_service.application.retry_campaign import RetryCampaign, retry_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import InvalidTransition, NothingToRetry
from campaign_service.domain.execution import Options, Outcome
from contracts.envelope import new_event
from contracts.events.campaign import Failure, Totals
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from service_kit.errors import FieldErrors

TOTALS = Totals(targeted=5, successful=2, failed=3, skipped=0, unknown=0)


@pytest.fixture
def completed(world: Any, new_campaign: Any) -> Campaign:
    """A campaign whose first run has ended."""
    now = world.clock.now()
    running: Campaign = new_campaign().start("exec_1", Options(50, "high"), steps=1, now=now)
    done = running.complete(Outcome(5, 2, 3, 0, 0, completed_at=now), now=now)
    world.campaigns.rows[done.id] = done
    return done


async def retry(world: Any, campaign: Campaign, **command: Any) -> Any:
    return await retry_campaign(
        "acme",
        campaign.id,
        RetryCampaign(**{"statuses": ("failed",), **command}),
        campaigns=world.campaigns,
        templates=world.templates,
        preflight=world.preflight,
        transactions=world.transactions,
        outbox=world.outbox,
        clock=world.clock,
    )


def told(world: Any) -> list[Any]:
    return [json.loads(event.model_dump_json(by_alias=True)) for event in world.outbox.events]


async def handle(world: Any, handler: Any, data: Any) -> None:
    event = new_event(data, source="execution-service", subject="x", org="acme", time=world.clock.now())
    await handler(
        event,
        campaigns=world.campaigns,
        transactions=world.transactions,
        inbox=world.inbox,
        outbox=world.outbox,
        clock=world.clock,
    )


async def test_a_retry_makes_the_campaign_active_until_it_is_done(world: Any, completed: Campaign) -> None:
    started = await retry(world, completed, error_codes=("USER_BLOCKED",))
    active = world.campaigns.rows[completed.id]
    assert (active.status, active.version, active.execution.id) == ("active", 4, started.execution_id)
    assert active.execution.options == Options(50, "high")
    [event] = told(world)
    assert (event["type"], event["sequence"]) == ("campaign.started", 4)
    assert event["data"]["snapshot"]["options"]["retry"] == {
        "of": "exec_1", "statuses": ["failed"], "errorCodes": ["USER_BLOCKED"],
    }  # fmt: skip
    assert world.preflight.asked[0].retry == active.execution.retry

    await handle(
        world,
        complete_campaign,
        ExecutionCompleted(
            campaign_id=completed.id, execution_id=started.execution_id, totals=TOTALS,
            completed_at=world.clock.now(),
        ),
    )  # fmt: skip
    assert world.campaigns.rows[completed.id].status == "completed"
    assert [(event["type"], event["sequence"]) for event in told(world)[1:]] == [("campaign.completed", 5)]

    again = await retry(world, completed, statuses=("unknown",))
    latest = world.campaigns.rows[completed.id].execution
    assert (latest.id, latest.retry.of) == (again.execution_id, started.execution_id)


async def test_only_a_completed_campaign_is_retried_and_nobody_is_asked_otherwise(
    world: Any, completed: Campaign
) -> None:
    for status in ("draft", "active", "paused", "cancelled"):
        world.campaigns.rows[completed.id] = replace(completed, status=status)
        with pytest.raises(InvalidTransition):
            await retry(world, completed)
    assert world.preflight.asked == []


async def test_a_retry_that_finds_nobody_starts_nothing(world: Any, completed: Campaign) -> None:
    world.preflight.answer = replace(world.preflight.answer, total_count=0, targeted=0)
    with pytest.raises(NothingToRetry):
        await retry(world, completed)
    assert world.campaigns.rows[completed.id] == completed and told(world) == []


async def test_a_campaign_that_has_ended_is_not_retried(world: Any, completed: Campaign) -> None:
    past = world.clock.now() - timedelta(minutes=1)
    ended = replace(completed, definition=replace(completed.definition, end_date=past))
    world.campaigns.rows[completed.id] = ended
    with pytest.raises(FieldErrors) as refused:
        await retry(world, completed)
    assert [detail.field for detail in refused.value.details] == ["endDate"]


async def test_a_retry_that_failed_is_resumed_as_the_retry_that_it_was(
    world: Any, completed: Campaign
) -> None:
    started = await retry(world, completed)
    failure = Failure(code="BOT_UNAUTHORIZED", message="the token was revoked")
    await handle(
        world,
        fail_campaign,
        ExecutionFailed(
            campaign_id=completed.id, execution_id=started.execution_id, failure=failure, totals=TOTALS,
            shards_failed=1, failed_at=world.clock.now(),
        ),
    )  # fmt: skip
    assert world.campaigns.rows[completed.id].status == "paused"
    await resume_campaign(
        "acme",
        completed.id,
        campaigns=world.campaigns,
        templates=world.templates,
        preflight=world.preflight,
        transactions=world.transactions,
        outbox=world.outbox,
        clock=world.clock,
    )
    first, last = told(world)[0]["data"]["snapshot"], told(world)[-1]["data"]["snapshot"]
    assert first["options"] == last["options"] and last["options"]["retry"]["of"] == "exec_1"
    assert world.preflight.asked[-1].retry == world.preflight.asked[0].retry
