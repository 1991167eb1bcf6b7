"""Scheduled executions on a controlled clock, on fakes."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.fire_schedules import fire_schedules
from campaign_service.application.start_campaign import (
    DryRun,
    StartCampaign,
    Started,
    dry_run,
    start_campaign,
)
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Message
from campaign_service.domain.errors import ExecutionRunning
from campaign_service.domain.execution import Options
from campaign_service.domain.template import Template
from campaign_service.entrypoints.schedules import watch_schedules
from service_kit.errors import FieldErrors

New = Callable[..., Campaign]
PORTS = ("campaigns", "templates", "transactions", "outbox", "clock")


async def schedule(world: Any, seconds: float, **options: Any) -> Started:
    command = StartCampaign(scheduled_at=world.clock.now() + timedelta(seconds=seconds), **options)
    ports = {name: getattr(world, name) for name in (*PORTS, "preflight")}
    return await start_campaign("acme", "camp_1", command, **ports)


async def fire(world: Any) -> list[str]:
    return await fire_schedules(**{name: getattr(world, name) for name in PORTS})


def stored(world: Any) -> Campaign:
    return world.campaigns.rows["camp_1"]


def types(world: Any) -> list[str]:
    return [event.type for event in world.outbox.events]


async def test_a_schedule_makes_the_campaign_active_and_fires_at_its_time(
    world: Any, new_campaign: New
) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    answer = await schedule(world, 3600, options=Options(25, "low"))
    assert answer.status == "scheduled"
    assert answer.estimated_completion == world.clock.now() + timedelta(seconds=3600 + 10)
    assert stored(world).status == "active"
    with pytest.raises(ExecutionRunning):
        await schedule(world, 1)
    world.clock.advance(3599)
    assert await fire(world) == []
    world.clock.advance(1)
    assert await fire(world) == ["begun"]
    assert await fire(world) == []
    assert types(world) == ["campaign.scheduled", "campaign.started"]
    event = world.outbox.events[1]
    assert event.data.execution_id == answer.execution_id and event.sequence == 3
    assert (event.data.snapshot.options.target_percentage, event.data.snapshot.options.priority) == (
        25,
        "low",
    )
    assert stored(world).runs(answer.execution_id) and stored(world).scheduled_at is None


@pytest.mark.parametrize(("late", "result"), [(3599, "begun"), (3601, "failed")])
async def test_a_schedule_missed_by_up_to_an_hour_fires_and_a_later_one_fails(
    world: Any, new_campaign: New, late: float, result: str
) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    answer = await schedule(world, 60)
    world.clock.advance(60 + late)
    assert await fire(world) == [result]
    if result == "begun":
        return
    assert (stored(world).status, stored(world).failure.code) == ("paused", "SCHEDULE_MISSED")
    event = world.outbox.events[-1]
    assert (event.type, event.data.execution_id) == ("campaign.failed", answer.execution_id)
    assert event.data.failure.code == "SCHEDULE_MISSED" and event.data.totals.targeted == 0


async def test_a_template_gone_by_then_fails_the_campaign(
    world: Any, new_campaign: New, new_template: Callable[..., Template]
) -> None:
    definition = replace(new_campaign().definition, messages=(Message(id="msg_1", template_id="tmpl_1"),))
    world.campaigns.rows["camp_1"] = new_campaign(definition=definition)
    world.templates.rows["tmpl_1"] = new_template()
    await schedule(world, 60)
    world.templates.rows["tmpl_1"] = new_template(content="As it is at the time")
    other = new_campaign(id="camp_2", definition=definition)
    world.campaigns.rows["camp_2"] = other.schedule(
        "exec_2", world.clock.now() + timedelta(seconds=70), Options(), now=world.clock.now()
    )
    world.clock.advance(60)
    assert await fire(world) == ["begun"]
    assert world.outbox.events[-1].data.snapshot.messages[0].content == "As it is at the time"
    del world.templates.rows["tmpl_1"]
    world.clock.advance(10)
    assert await fire(world) == ["failed"]
    assert world.campaigns.rows["camp_2"].failure.code == "TEMPLATE_MISSING"


async def test_two_replicas_that_see_it_due_at_once_fire_it_once(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    await schedule(world, 60)
    world.clock.advance(60)
    due = await world.campaigns.due(world.clock.now(), limit=10)

    async def see_due(*_: Any, **__: Any) -> list[tuple[str, str]]:
        return due

    world.campaigns.due = see_due
    results = await asyncio.gather(*(fire(world) for _ in range(5)))
    assert sorted(results) == [["begun"], *[["left"]] * 4]
    assert types(world).count("campaign.started") == 1


async def test_a_campaign_that_cannot_be_fired_does_not_hold_up_the_others(
    world: Any, new_campaign: New
) -> None:
    for name in ("camp_1", "camp_2"):
        world.campaigns.rows[name] = new_campaign(id=name).schedule(
            f"exec_{name}", world.clock.now(), Options(), now=world.clock.now()
        )
    get = world.campaigns.get

    async def broken(org: str, campaign_id: str, **rest: Any) -> Campaign | None:
        if campaign_id == "camp_1":
            raise RuntimeError("nobody foresaw this")
        return await get(org, campaign_id, **rest)

    world.campaigns.get = broken
    assert await fire(world) == ["left", "begun"]


async def test_paused_and_cancelled_schedules_do_not_fire(world: Any, new_campaign: New) -> None:
    waiting = new_campaign().schedule("exec_1", world.clock.now(), Options(), now=world.clock.now())
    for campaign in (waiting.pause(now=world.clock.now()), waiting.cancel(now=world.clock.now())):
        world.campaigns.rows["camp_1"] = campaign
        world.clock.advance(7200)
        assert await fire(world) == []


@pytest.mark.parametrize(
    ("seconds", "options", "rule"),
    [(-61, {}, "past"), (3600, {"test_mode": True}, "test"), (86400, {}, "endDate")],
)
async def test_a_time_that_cannot_be_meant_is_refused(
    world: Any, new_campaign: New, seconds: float, options: dict[str, Any], rule: str
) -> None:
    end = world.clock.now() + timedelta(days=1)
    world.campaigns.rows["camp_1"] = new_campaign(definition=replace(new_campaign().definition, end_date=end))
    with pytest.raises(FieldErrors, match=rule):
        await schedule(world, seconds, **options)
    assert stored(world).status == "draft"


@pytest.mark.parametrize("seconds", [-60, 0])
async def test_a_time_of_a_moment_ago_means_now(world: Any, new_campaign: New, seconds: float) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    assert (await schedule(world, seconds)).status == "started"


async def test_a_dry_run_tells_what_a_start_would_meet_and_starts_nothing(
    world: Any, new_campaign: New
) -> None:
    before = world.campaigns.rows["camp_1"] = new_campaign()
    ports = {name: getattr(world, name) for name in ("campaigns", "templates", "preflight", "clock")}
    found = await dry_run("acme", "camp_1", StartCampaign(), **ports)
    assert found == DryRun(100, {"OPTED_OUT": 20, "MISSING_FIELD": 5}, 8, 0.75)
    command = StartCampaign(
        Options(target_percentage=10), scheduled_at=world.clock.now() + timedelta(hours=9)
    )
    await dry_run("acme", "camp_1", command, **ports)
    (plain, begin), (sampled, later) = world.preflight.foretold
    assert (plain.options.target_percentage, begin) == (100, world.clock.now())
    assert (sampled.options.target_percentage, later) == (10, command.scheduled_at)
    assert [message.content for message in sampled.messages] == ["Hello"]
    assert stored(world) == before and world.outbox.events == []
    world.campaigns.rows["camp_1"] = new_campaign(definition=replace(before.definition, messages=()))
    with pytest.raises(FieldErrors, match="messages"):
        await dry_run("acme", "camp_1", StartCampaign(), **ports)


async def test_the_watch_goes_on_after_a_look_that_failed() -> None:
    looks = 0

    async def look() -> list[Any]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise TimeoutError
        if looks == 3:
            raise asyncio.CancelledError
        return ["begun"]

    with pytest.raises(asyncio.CancelledError):
        await watch_schedules(look, poll_seconds=0)
    assert looks == 3
