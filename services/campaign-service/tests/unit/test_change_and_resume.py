"""Pausing, resuming, cancelling, updating, deleting and cloning, on fakes."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.cancel_campaign import cancel_campaign
from campaign_service.application.clone_campaign import CloneCampaign, clone_campaign
from campaign_service.application.delete_campaign import delete_campaign
from campaign_service.application.pause_campaign import pause_campaign
from campaign_service.application.resume_campaign import resume_campaign
from campaign_service.application.update_campaign import UpdateCampaign, update_campaign
from campaign_service.domain.campaign import Campaign, Statistics
from campaign_service.domain.definition import Definition, Message, Workflow
from campaign_service.domain.errors import (
    CampaignNotFound,
    InvalidTransition,
    NotEditable,
    PreconditionFailed,
)
from campaign_service.domain.execution import Failure, Options
from service_kit.errors import DependencyDown, FieldErrors

New = Callable[..., Campaign]
WRITES = ("campaigns", "transactions", "outbox", "clock")
STARTS = (*WRITES, "templates", "preflight")


def ports(world: Any, names: tuple[str, ...] = WRITES) -> dict[str, Any]:
    return {name: getattr(world, name) for name in names}


def told(world: Any) -> list[tuple[str, int, str]]:
    """Type, sequence and status of every event, in order."""
    return [(event.type, event.sequence, event.data.status) for event in world.outbox.events]


def put(world: Any, campaign: Campaign) -> Campaign:
    world.campaigns.rows[campaign.id] = campaign
    return campaign


async def update(world: Any, *, versions: set[int] | None = None, **changes: Any) -> Campaign:
    status = changes.pop("status", None)

    def revise(stored: Definition) -> Definition:
        return replace(stored, **changes)

    command = UpdateCampaign(revise, status, versions)
    return await update_campaign("acme", "camp_1", command, **ports(world, STARTS))


async def resume(world: Any) -> Campaign:
    return await resume_campaign("acme", "camp_1", **ports(world, STARTS))


def running(world: Any, new_campaign: New) -> Campaign:
    return new_campaign().start("exec_1", Options(50, "high"), steps=1, now=world.clock.now())


async def test_pause_and_resume_are_told_with_the_execution_and_the_time(
    world: Any, new_campaign: New
) -> None:
    put(world, running(world, new_campaign))
    world.clock.advance(10)
    paused = await pause_campaign("acme", "camp_1", **ports(world))
    assert (paused.status, paused.updated_at) == ("paused", world.clock.now())
    world.clock.advance(10)
    assert (await resume(world)).status == "active"
    assert told(world) == [("campaign.paused", 3, "paused"), ("campaign.resumed", 4, "active")]
    first, second = world.outbox.events
    assert first.data.execution_id == second.data.execution_id == "exec_1"
    assert second.data.resumed_at == world.clock.now() and second.data.snapshot is None
    assert world.preflight.asked == []


@pytest.mark.parametrize("use_case", [pause_campaign, cancel_campaign])
async def test_another_orgs_campaign_cannot_be_commanded(
    world: Any, new_campaign: New, use_case: Any
) -> None:
    put(world, new_campaign(org="other"))
    with pytest.raises(CampaignNotFound):
        await use_case("acme", "camp_1", **ports(world))


async def test_a_held_schedule_is_re_armed_by_resume_and_at_once_when_its_time_has_passed(
    world: Any, new_campaign: New
) -> None:
    at = world.clock.now() + timedelta(hours=1)
    put(world, new_campaign().schedule("exec_1", at, Options(), now=world.clock.now()))
    await pause_campaign("acme", "camp_1", **ports(world))
    assert (await resume(world)).due_at == at
    assert world.outbox.events[-1].data.scheduled_at == at
    await pause_campaign("acme", "camp_1", **ports(world))
    world.clock.advance(7200)
    assert (await resume(world)).due_at == world.clock.now()


async def test_resume_after_a_failure_sends_the_mended_definition_to_those_pending(
    world: Any, new_campaign: New
) -> None:
    failed = running(world, new_campaign).fail(Failure("BOT_UNAUTHORIZED", "x"), now=world.clock.now())
    put(world, failed)
    await update(world, messages=(Message(id="msg_1", content="Mended"),))
    resumed = await resume(world)
    assert resumed.runs("exec_1") and resumed.failure is None
    snapshot = world.outbox.events[-1].data.snapshot
    assert snapshot.messages[0].content == "Mended"
    assert (snapshot.options.target_percentage, snapshot.options.priority) == (50, "high")
    assert told(world) == [("campaign.updated", 4, "paused"), ("campaign.resumed", 5, "active")]


async def test_resume_after_a_failure_is_checked_as_a_start_is(world: Any, new_campaign: New) -> None:
    put(world, running(world, new_campaign).fail(Failure("X", "x"), now=world.clock.now()))
    two = (Message(id="msg_1", content="a"), Message(id="msg_2", content="b"))
    await update(world, messages=two)
    with pytest.raises(FieldErrors, match="messages"):
        await resume(world)
    world.preflight.answer = replace(world.preflight.answer, bots=())
    with pytest.raises(FieldErrors, match="bot"):
        await resume(world)
    world.preflight.answer = DependencyDown()
    with pytest.raises(DependencyDown):
        await resume(world)
    assert world.campaigns.rows["camp_1"].status == "paused"


async def test_resume_after_a_missed_schedule_begins_the_execution(world: Any, new_campaign: New) -> None:
    now = world.clock.now()
    put(world, new_campaign().schedule("exec_1", now, Options(), now=now).fail(Failure("X", "x"), now=now))
    assert (await resume(world)).runs("exec_1")
    assert told(world) == [("campaign.resumed", 4, "active"), ("campaign.started", 5, "active")]
    assert world.outbox.events[1].data.execution_id == "exec_1"


async def test_cancel_names_what_it_stops(world: Any, new_campaign: New) -> None:
    put(world, new_campaign())
    assert (await cancel_campaign("acme", "camp_1", **ports(world))).status == "cancelled"
    put(world, new_campaign().start_test("exec_t", now=world.clock.now()))
    await cancel_campaign("acme", "camp_1", **ports(world))
    put(world, running(world, new_campaign))
    await cancel_campaign("acme", "camp_1", **ports(world))
    assert [event.data.execution_id for event in world.outbox.events] == [None, "exec_t", "exec_1"]
    with pytest.raises(InvalidTransition):
        await cancel_campaign("acme", "camp_1", **ports(world))


async def test_an_update_tells_what_changed_and_one_without_changes_nothing(
    world: Any, new_campaign: New
) -> None:
    before = put(world, new_campaign())
    assert await update(world) == before and world.outbox.events == []
    after = await update(world, name="New", end_date=world.clock.now(), budget=7.5)
    assert (after.version, after.definition.name) == (2, "New")
    [event] = world.outbox.events
    assert event.data.changed == ["name", "budget", "endDate"]
    assert (event.data.end_date, event.data.budget) == (world.clock.now(), 7.5)
    assert event.data.audience.segments == ["seg123"]


async def test_an_update_with_a_status_is_both_in_one_transaction(world: Any, new_campaign: New) -> None:
    put(world, new_campaign())
    after = await update(world, name="New", status="active")
    assert (after.status, after.version) == ("active", 3)
    assert told(world) == [("campaign.updated", 2, "draft"), ("campaign.started", 3, "active")]
    assert world.outbox.events[1].data.name == "New"
    await update(world, status="paused", budget=5.0)
    await update(world, status="active")
    await update(world, status="cancelled")
    assert [name for name, _, _ in told(world)[2:]] == [
        "campaign.updated", "campaign.paused", "campaign.resumed", "campaign.cancelled"
    ]  # fmt: skip
    assert [number for _, number, _ in told(world)] == [2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("wanted", ["completed", "draft"])
async def test_a_status_nobody_can_command_stores_nothing_at_all(
    world: Any, new_campaign: New, wanted: str
) -> None:
    before = put(world, running(world, new_campaign))
    with pytest.raises(InvalidTransition):
        await update(world, name="New", status=wanted)
    assert world.campaigns.rows["camp_1"] == before and world.outbox.events == []


async def test_what_cannot_start_is_not_edited_either(world: Any, new_campaign: New) -> None:
    before = put(world, new_campaign())
    with pytest.raises(FieldErrors):
        await update(world, messages=(), status="active")
    with pytest.raises(NotEditable):
        put(world, running(world, new_campaign))
        await update(world, messages=())
    put(world, before)
    assert world.outbox.events == []


async def test_status_active_arms_a_coming_start_with_the_trigger_scheduled(
    world: Any, new_campaign: New
) -> None:
    start_date = world.clock.now() + timedelta(days=1)
    by_time = Workflow("wf_1", "Flow", ("scheduled",))
    definition = replace(new_campaign().definition, start_date=start_date, workflow=by_time)
    put(world, new_campaign(definition=definition))
    armed = await update(world, status="active")
    assert (armed.status, armed.due_at) == ("active", start_date)
    assert [event.type for event in world.outbox.events] == ["campaign.scheduled"]


@pytest.mark.parametrize(("hours", "triggers"), [(24, ("manual",)), (24, None), (-24, ("scheduled",))])
async def test_status_active_starts_at_once_when_there_is_nothing_to_wait_for(
    world: Any, new_campaign: New, hours: int, triggers: tuple[Any, ...] | None
) -> None:
    workflow = None if triggers is None else Workflow("wf_1", "Flow", triggers)
    start_date = world.clock.now() + timedelta(hours=hours)
    definition = replace(new_campaign().definition, start_date=start_date, workflow=workflow)
    put(world, new_campaign(definition=definition))
    await update(world, status="active")
    assert [event.type for event in world.outbox.events] == ["campaign.started"]


async def test_a_version_that_was_not_meant_is_left_alone(world: Any, new_campaign: New) -> None:
    before = put(world, new_campaign(version=4))
    with pytest.raises(PreconditionFailed):
        await update(world, name="New", versions={3, 5})
    with pytest.raises(PreconditionFailed):
        await delete_campaign("acme", "camp_1", versions={3}, **ports(world))
    assert world.campaigns.rows["camp_1"] == before
    assert (await update(world, name="New", versions={3, 4})).version == 5


async def test_delete_erases_and_tells_and_refuses_what_is_alive(world: Any, new_campaign: New) -> None:
    put(world, running(world, new_campaign))
    with pytest.raises(InvalidTransition, match="deleted"):
        await delete_campaign("acme", "camp_1", **ports(world))
    put(world, new_campaign())
    await delete_campaign("acme", "camp_1", **ports(world))
    assert world.campaigns.rows == {}
    assert told(world) == [("campaign.deleted", 2, "draft")]
    with pytest.raises(CampaignNotFound):
        await delete_campaign("acme", "camp_1", **ports(world))


async def clone(world: Any, command: CloneCampaign) -> Campaign:
    return await clone_campaign("acme", "camp_1", command, created_by="me", **ports(world))


async def test_a_clone_is_a_draft_with_the_same_people_in_its_samples(world: Any, new_campaign: New) -> None:
    numbers = Statistics(100, 45, 2, 4500, 225, 2250)
    original = replace(running(world, new_campaign), statistics=numbers, sampling_seed="camp_0")
    put(world, original)
    copy = await clone(world, CloneCampaign())
    assert (copy.status, copy.version, copy.execution, copy.created_by) == ("draft", 1, None, "me")
    assert copy.definition == replace(original.definition, name="Summer Sale (Copy)")
    assert (copy.sampling_seed, copy.shown_statistics) == ("camp_0", Statistics())
    assert [(event.type, event.subject) for event in world.outbox.events] == [("campaign.created", copy.id)]
    kept = await clone(world, CloneCampaign("Mine", reset_statistics=False))
    assert (kept.definition.name, kept.baseline, kept.statistics) == ("Mine", numbers, Statistics())
    assert kept.shown_statistics == numbers


async def test_copies_are_numbered_and_their_names_fit(world: Any, new_campaign: New) -> None:
    put(world, new_campaign())
    names = [(await clone(world, CloneCampaign())).definition.name for _ in range(3)]
    assert names == ["Summer Sale (Copy)", "Summer Sale (Copy 2)", "Summer Sale (Copy 3)"]
    put(world, new_campaign(definition=replace(new_campaign().definition, name="x" * 200)))
    names = [(await clone(world, CloneCampaign())).definition.name for _ in range(60)]
    assert len(set(names)) == 60 and max(map(len, names)) == 200
    assert names[59].endswith(" (Copy 60)")
