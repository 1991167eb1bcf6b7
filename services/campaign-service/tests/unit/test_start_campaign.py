"""Starting a campaign, on fakes."""

from collections.abc import Callable
from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.ports import Bot, PreflightAnswer
from campaign_service.application.start_campaign import StartCampaign, Started, start_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import (
    Button,
    Media,
    Message,
    QuietHours,
    Strategy,
    TargetAudience,
    Variation,
)
from campaign_service.domain.errors import CampaignNotFound, ExecutionRunning
from campaign_service.domain.execution import Options
from campaign_service.domain.template import Template
from service_kit.errors import DependencyDown, FieldErrors

COMMAND = StartCampaign()
New = Callable[..., Campaign]


async def start(world: Any, command: StartCampaign = COMMAND) -> Started:
    return await start_campaign(
        "acme",
        "camp_1",
        command,
        campaigns=world.campaigns,
        templates=world.templates,
        preflight=world.preflight,
        transactions=world.transactions,
        outbox=world.outbox,
        clock=world.clock,
    )


async def refused_fields(world: Any, command: StartCampaign = COMMAND) -> list[str]:
    before = dict(world.campaigns.rows)
    with pytest.raises(FieldErrors) as refused:
        await start(world, command)
    assert world.campaigns.rows == before and world.outbox.events == []
    return [detail.field for detail in refused.value.details]


async def test_a_start_makes_the_campaign_active_and_tells_everything_in_one_event(
    world: Any, new_campaign: New
) -> None:
    definition = replace(new_campaign().definition, strategy=Strategy(bot_id="bot_1"))
    world.campaigns.rows["camp_1"] = new_campaign(definition=definition, sampling_seed="camp_0")
    started = await start(world, StartCampaign(Options(10, "high")))
    stored = world.campaigns.rows["camp_1"]
    assert (stored.status, stored.version) == ("active", 2)
    assert stored.runs(started.execution_id)
    assert started.estimated_completion == world.clock.now() + timedelta(seconds=100 / 10)
    [event] = world.outbox.events
    assert (event.type, event.subject, event.sequence, event.orgid) == (
        "campaign.started",
        "camp_1",
        2,
        "acme",
    )
    snapshot = event.data.snapshot
    assert event.data.execution_id == started.execution_id
    assert (snapshot.sampling_seed, snapshot.bot_id) == ("camp_0", "bot_1")
    assert (snapshot.options.target_percentage, snapshot.options.priority) == (10, "high")
    assert snapshot.audience.segments == ["seg123"]
    [question] = world.preflight.asked
    assert (question.sampling_seed, question.bot_ids, question.target_percentage) == (
        "camp_0",
        ("bot_1",),
        10,
    )


async def test_templates_are_resolved_and_a_messages_own_words_go_first(
    world: Any, new_campaign: New, new_template: Callable[..., Template]
) -> None:
    world.templates.rows["tmpl_1"] = new_template()
    messages = (
        Message(id="msg_1", template_id="tmpl_1"),
        Message(id="msg_2", template_id="tmpl_1", content="Own", parse_mode="none"),
        Message(id="msg_3", variations=(Variation("var_1", "All", 100),)),
    )
    world.campaigns.rows["camp_1"] = new_campaign(
        definition=replace(new_campaign().definition, messages=messages)
    )
    started = await start(world)
    frozen = world.outbox.events[0].data.snapshot.messages
    assert [(message.content, message.parse_mode) for message in frozen] == [
        ("Hi {{firstName|there}}", "HTML"),
        ("Own", "none"),
        ("", "none"),
    ]
    assert started.estimated_completion == world.clock.now() + timedelta(seconds=3 * 100 / 10)


async def test_media_and_buttons_are_frozen_and_a_messages_own_go_before_its_templates(
    world: Any, new_campaign: New, new_template: Callable[..., Template]
) -> None:
    photo, film = Media("photo", "https://cdn.example/a.jpg"), Media("video", "https://cdn.example/a.mp4")
    shop, help_ = Button("Shop", "https://shop.example"), Button("Help", "https://shop.example/help")
    world.templates.rows["tmpl_1"] = new_template(media=photo, buttons=((shop, help_), (help_,)))
    messages = (
        Message(id="msg_1", template_id="tmpl_1"),
        Message(id="msg_2", template_id="tmpl_1", media=film, buttons=((help_,),)),
        Message(id="msg_3", template_id="tmpl_1", buttons=()),
        Message(id="msg_4", media=film),
        Message(id="msg_5", content="Only words"),
    )
    world.campaigns.rows["camp_1"] = new_campaign(
        definition=replace(new_campaign().definition, messages=messages)
    )
    await start(world)
    frozen = world.outbox.events[0].data.snapshot.messages
    assert [
        (
            message.media and (message.media.type, message.media.url),
            [[(button.text, button.url) for button in row] for row in message.buttons],
        )
        for message in frozen
    ] == [
        (astuple(photo), [[astuple(shop), astuple(help_)], [astuple(help_)]]),
        (astuple(film), [[astuple(help_)]]),
        (astuple(photo), []),
        (astuple(film), []),
        (None, []),
    ]


async def test_what_a_draft_lacks_is_named_field_by_field(world: Any, new_campaign: New) -> None:
    definition = replace(
        new_campaign().definition,
        type="engagement",
        messages=(Message(id="msg_1"),),
        target_audience=TargetAudience(),
        end_date=world.clock.now(),
    )
    world.campaigns.rows["camp_1"] = new_campaign(definition=definition)
    fields = ["type", "messages.0.content", "targetAudience.segments", "endDate"]
    assert await refused_fields(world) == fields
    world.campaigns.rows["camp_1"] = new_campaign(definition=replace(new_campaign().definition, messages=()))
    assert await refused_fields(world) == ["messages"]
    assert world.preflight.asked == []


async def test_a_missing_template_or_another_orgs_is_named(
    world: Any, new_campaign: New, new_template: Callable[..., Template]
) -> None:
    world.templates.rows["tmpl_1"] = new_template(org="other")
    messages = (Message(id="msg_1", content="Hello"), Message(id="msg_2", template_id="tmpl_1"))
    world.campaigns.rows["camp_1"] = new_campaign(
        definition=replace(new_campaign().definition, messages=messages)
    )
    assert await refused_fields(world) == ["messages.1.templateId"]


async def test_what_only_preflight_knows_is_named_too(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    good = world.preflight.answer
    world.preflight.answer = PreflightAnswer(total_count=0, targeted=0, bots=(), testers=0)
    assert await refused_fields(world) == ["targetAudience.segments", "strategy.botId"]
    world.preflight.answer = replace(good, testers=0)
    assert await refused_fields(world, replace(COMMAND, test_mode=True)) == ["testMode"]


async def test_several_bots_share_the_work_and_each_must_be_there_and_may_have_to_pay(
    world: Any, new_campaign: New
) -> None:
    several = Strategy(
        bot_ids=("bot_1", "bot_2"), allow_paid_broadcast=True, unknown_delivery="retry",
        quiet_hours=QuietHours("21:30", "08:00"), timezone_mode="org",
    )  # fmt: skip
    definition = replace(new_campaign().definition, strategy=several, budget=12.5)
    world.campaigns.rows["camp_1"] = new_campaign(definition=definition)
    assert await refused_fields(world) == ["strategy.botIds.1"]
    bots = (Bot("bot_1", "One", 10, 100), Bot("bot_2", "Two", 10, 0))
    world.preflight.answer = replace(world.preflight.answer, bots=bots)
    assert await refused_fields(world) == ["strategy.allowPaidBroadcast"]
    world.preflight.answer = replace(world.preflight.answer, bots=(bots[0], Bot("bot_2", "Two", 10, 400)))
    started = await start(world, COMMAND)
    assert started.estimated_completion == world.clock.now() + timedelta(seconds=100 / 500)
    snapshot = world.outbox.events[0].data.snapshot
    assert (snapshot.bot_id, snapshot.bot_ids, snapshot.allow_paid_broadcast) == (
        None, ["bot_1", "bot_2"], True,
    )  # fmt: skip
    assert (snapshot.retry_unknown, snapshot.budget) == (True, 12.5)
    quiet = snapshot.quiet_hours.model_dump(by_alias=True)
    assert (quiet, snapshot.timezone_mode) == ({"from": "21:30", "to": "08:00"}, "org")


async def test_without_an_answer_from_preflight_nothing_starts(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    world.preflight.answer = DependencyDown()
    with pytest.raises(DependencyDown):
        await start(world)
    assert world.campaigns.rows["camp_1"] == new_campaign() and world.outbox.events == []


async def test_a_test_run_marks_the_event_and_keeps_the_status(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    await start(world, replace(COMMAND, test_mode=True))
    assert world.campaigns.rows["camp_1"].status == "draft"
    [event] = world.outbox.events
    assert event.data.test_mode and event.data.snapshot.options.test_mode and event.data.status == "draft"
    with pytest.raises(ExecutionRunning):
        await start(world)


async def test_who_loses_the_race_finds_the_winners_execution_running(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    winner = new_campaign().start("exec_winner", Options(), steps=1, now=world.clock.now())
    world.preflight.during = lambda: world.campaigns.rows.update({"camp_1": winner})
    with pytest.raises(ExecutionRunning):
        await start(world)
    assert world.campaigns.rows["camp_1"] == winner and world.outbox.events == []


async def test_a_change_meanwhile_is_read_again_and_started_as_it_now_is(
    world: Any, new_campaign: New
) -> None:
    world.campaigns.rows["camp_1"] = new_campaign()
    changed = new_campaign(version=2, definition=replace(new_campaign().definition, name="Renamed"))

    def change_once() -> None:
        world.preflight.during = lambda: None
        world.campaigns.rows["camp_1"] = changed

    world.preflight.during = change_once
    await start(world)
    [event] = world.outbox.events
    assert (event.data.name, event.sequence) == ("Renamed", 3)


async def test_another_orgs_campaign_is_not_there(world: Any, new_campaign: New) -> None:
    world.campaigns.rows["camp_1"] = new_campaign(org="other")
    with pytest.raises(CampaignNotFound):
        await start(world)
