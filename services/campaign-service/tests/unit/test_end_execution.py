"""What the end of an execution does to its campaign, on fakes."""

from collections.abc import Callable
from typing import Any

import pytest
from campaign_service.application.parts import ConsumerParts
from campaign_service.application.resume_campaign import resume_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Options
from campaign_service.entrypoints.subscriptions import subscriptions
from contracts.envelope import Envelope, EventData, new_event
from contracts.events.campaign import Failure, Totals
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from service_kit.errors import AlreadyHandled

TOTALS = Totals(targeted=10, successful=7, failed=1, skipped=1, unknown=1)
New = Callable[..., Campaign]


def ended(world: Any, execution_id: str, *, org: str = "acme", test: bool = False) -> Envelope[EventData]:
    data = ExecutionCompleted(
        campaign_id="camp_1",
        execution_id=execution_id,
        test_mode=test,
        totals=TOTALS,
        completed_at=world.clock.now(),
    )
    return new_event(data, source="execution-service", subject="camp_1", org=org, time=world.clock.now())


def failed(world: Any, execution_id: str) -> Envelope[EventData]:
    data = ExecutionFailed(
        campaign_id="camp_1",
        execution_id=execution_id,
        failure=Failure(code="BOT_UNAUTHORIZED", message="the token was revoked"),
        totals=TOTALS,
        shards_failed=3,
        failed_at=world.clock.now(),
    )
    return new_event(data, source="execution-service", subject="camp_1", org="acme", time=world.clock.now())


async def handle(world: Any, event: Envelope[EventData]) -> None:
    parts = ConsumerParts(
        world.campaigns, world.templates, world.transactions, world.inbox, world.outbox, world.clock
    )
    await subscriptions(parts)[type(event.data)](event)


async def test_a_completed_execution_completes_its_campaign_with_the_totals(
    world: Any, new_campaign: New
) -> None:
    world.campaigns.rows["camp_1"] = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    await handle(world, ended(world, "exec_1"))
    assert world.campaigns.rows["camp_1"].status == "completed"
    [event] = world.outbox.events
    assert (event.type, event.sequence, event.data.totals) == ("campaign.completed", 3, TOTALS)
    assert event.data.status == "completed" and not event.data.test_mode


async def test_the_same_event_twice_changes_nothing_more(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    event = ended(world, "exec_1")
    await handle(world, event)
    once = world.campaigns.rows["camp_1"]
    with pytest.raises(AlreadyHandled):
        await handle(world, event)
    assert world.campaigns.rows["camp_1"] == once and len(world.outbox.events) == 1


async def test_the_end_of_a_former_execution_is_old_news(world: Any, new_campaign: New) -> None:
    running = new_campaign().start("exec_2", Options(), steps=1, now=world.clock.now())
    world.campaigns.rows["camp_1"] = running
    await handle(world, ended(world, "exec_1"))
    await handle(world, failed(world, "exec_1"))
    assert world.campaigns.rows["camp_1"] == running and world.outbox.events == []


async def test_a_test_run_ends_without_touching_the_status(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign().start_test("exec_1", now=world.clock.now())
    await handle(world, ended(world, "exec_1", test=True))
    stored = world.campaigns.rows["camp_1"]
    assert stored.status == "draft" and not stored.tests("exec_1")
    assert world.outbox.events[0].data.test_mode and world.outbox.events[0].data.status == "draft"


async def test_a_failed_execution_pauses_its_campaign_and_shows_why(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    await handle(world, failed(world, "exec_1"))
    stored = world.campaigns.rows["camp_1"]
    assert stored.status == "paused" and stored.failure.code == "BOT_UNAUTHORIZED"
    [event] = world.outbox.events
    assert (event.type, event.data.status) == ("campaign.failed", "paused")
    assert event.data.failure.code == "BOT_UNAUTHORIZED" and event.data.totals == TOTALS


async def test_the_end_of_a_deleted_campaigns_test_is_old_news(world: Any) -> None:
    await handle(world, ended(world, "exec_1"))
    assert world.outbox.events == [] and len(world.inbox.marks) == 1


async def test_another_orgs_event_changes_nothing(world: Any, new_campaign: New) -> None:
    running = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    world.campaigns.rows["camp_1"] = running
    await handle(world, ended(world, "exec_1", org="other"))
    assert world.campaigns.rows["camp_1"] == running and world.outbox.events == []


async def test_a_failed_test_is_told_and_pauses_nothing(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign().start_test("exec_1", now=world.clock.now())
    await handle(world, failed(world, "exec_1"))
    stored = world.campaigns.rows["camp_1"]
    assert (stored.status, stored.failure) == ("draft", None)
    [event] = world.outbox.events
    assert (event.type, event.data.test_mode, event.data.status) == ("campaign.failed", True, "draft")


async def test_a_completion_during_a_pause_waits_for_the_resume(world: Any, new_campaign: New) -> None:
    running = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    world.campaigns.rows["camp_1"] = running.pause(now=world.clock.now())
    await handle(world, ended(world, "exec_1"))
    held = world.campaigns.rows["camp_1"]
    assert (held.status, held.version, held.execution.state) == ("paused", 4, "completed")
    assert world.outbox.events == []
    answer = await resume_campaign(
        "acme",
        "camp_1",
        campaigns=world.campaigns,
        templates=world.templates,
        preflight=world.preflight,
        transactions=world.transactions,
        outbox=world.outbox,
        clock=world.clock,
    )
    assert answer.status == "active"
    assert world.campaigns.rows["camp_1"].status == "completed"
    assert [(event.type, event.sequence) for event in world.outbox.events] == [
        ("campaign.resumed", 5),
        ("campaign.completed", 6),
    ]
    assert world.outbox.events[1].data.totals == TOTALS


async def test_a_failure_during_a_pause_is_shown(world: Any, new_campaign: New) -> None:
    running = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    world.campaigns.rows["camp_1"] = running.pause(now=world.clock.now())
    await handle(world, failed(world, "exec_1"))
    stored = world.campaigns.rows["camp_1"]
    assert (stored.status, stored.failure.code) == ("paused", "BOT_UNAUTHORIZED")


async def test_the_end_of_a_cancelled_campaigns_execution_is_old_news(world: Any, new_campaign: New) -> None:
    running = new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())
    cancelled = running.cancel(now=world.clock.now())
    world.campaigns.rows["camp_1"] = cancelled
    await handle(world, ended(world, "exec_1"))
    assert world.campaigns.rows["camp_1"] == cancelled and world.outbox.events == []
