"""What an execution that holds itself does to its campaign, on fakes."""

from collections.abc import Callable
from typing import Any

import pytest
from campaign_service.application.parts import ConsumerParts
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Failure, Options, Outcome
from campaign_service.entrypoints.subscriptions import subscriptions
from contracts.envelope import Envelope, new_event
from contracts.events.campaign import Failure as Reason
from contracts.events.execution import ExecutionPaused
from service_kit.errors import AlreadyHandled

WHY = Failure("GUARD_BLOCKED", "51 of the last 500 answers say that the bot is blocked")
New = Callable[..., Campaign]


def held(world: Any, *, followed: int = 2, execution_id: str = "exec_1") -> Envelope[ExecutionPaused]:
    data = ExecutionPaused(
        campaign_id="camp_1",
        execution_id=execution_id,
        reason=Reason(code=WHY.code, message=WHY.message),
        followed=followed,
        paused_at=world.clock.now(),
    )
    return new_event(data, source="execution-service", subject="camp_1", org="acme", time=world.clock.now())


async def handle(world: Any, event: Envelope[ExecutionPaused]) -> None:
    parts = ConsumerParts(
        world.campaigns, world.templates, world.transactions, world.inbox, world.outbox, world.clock
    )
    await subscriptions(parts)[type(event.data)](event)


@pytest.fixture
def running(world: Any, new_campaign: New) -> Campaign:
    """Version 2, its execution under way."""
    return new_campaign().start("exec_1", Options(), steps=1, now=world.clock.now())


async def test_the_campaign_is_paused_once_and_says_why_until_it_is_resumed(
    world: Any, running: Campaign
) -> None:
    world.campaigns.rows["camp_1"] = running
    event = held(world)
    await handle(world, event)
    with pytest.raises(AlreadyHandled):
        await handle(world, event)
    stored = world.campaigns.rows["camp_1"]
    assert (stored.status, stored.version, stored.pause_reason) == ("paused", 3, WHY)
    [told] = world.outbox.events
    assert (told.type, told.sequence, told.data.status) == ("campaign.paused", 3, "paused")
    assert (told.data.reason.code, told.data.execution_id) == ("GUARD_BLOCKED", "exec_1")
    assert stored.resume(now=world.clock.now()).pause_reason is None
    assert stored.cancel(now=world.clock.now()).pause_reason is None


async def test_an_edit_that_the_execution_had_not_heard_of_stops_no_guard_rail(
    world: Any, running: Campaign
) -> None:
    world.campaigns.rows["camp_1"] = running.edit(running.definition, now=world.clock.now())
    await handle(world, held(world, followed=2))
    assert world.campaigns.rows["camp_1"].pause_reason == WHY


async def test_news_from_before_the_latest_resume_is_old_and_from_after_it_is_not(
    world: Any, running: Campaign
) -> None:
    now = world.clock.now()
    resumed = running.pause(now=now).resume(now=now)
    world.campaigns.rows["camp_1"] = resumed
    for followed in (2, 3):
        await handle(world, held(world, followed=followed))
    assert world.campaigns.rows["camp_1"] == resumed and world.outbox.events == []
    await handle(world, held(world, followed=4))
    assert world.campaigns.rows["camp_1"].pause_reason == WHY


@pytest.mark.parametrize(
    "after",
    [
        lambda campaign, now: campaign.pause(now=now),
        lambda campaign, now: campaign.cancel(now=now),
        lambda campaign, now: campaign.complete(Outcome(1, 1, 0, 0, 0, now), now=now),
        lambda campaign, now: campaign.fail(Failure("BOT_UNAUTHORIZED", "x"), now=now),
    ],
    ids=["paused", "cancelled", "completed", "failed"],
)
async def test_what_became_of_the_campaign_meanwhile_stands(
    world: Any, running: Campaign, after: Callable[..., Campaign]
) -> None:
    moved = after(running, world.clock.now())
    world.campaigns.rows["camp_1"] = moved
    await handle(world, held(world))
    assert world.campaigns.rows["camp_1"] == moved and world.outbox.events == []


async def test_a_former_execution_a_test_and_an_unknown_campaign_are_old_news(
    world: Any, running: Campaign, new_campaign: New
) -> None:
    await handle(world, held(world))
    testing = new_campaign().start_test("exec_9", now=world.clock.now())
    for campaign, execution_id in ((running, "exec_0"), (testing, "exec_9")):
        world.campaigns.rows["camp_1"] = campaign
        await handle(world, held(world, execution_id=execution_id))
        assert world.campaigns.rows["camp_1"] == campaign
    assert world.outbox.events == []
