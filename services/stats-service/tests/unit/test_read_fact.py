"""From bytes to facts."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from contracts.catalogue import CATALOGUE
from contracts.envelope import MalformedEvent
from stats_service.application.read_fact import read_fact
from stats_service.domain.facts import (
    CampaignSeen,
    Clicked,
    ClickTold,
    Converted,
    Definition,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    PriceSet,
    SegmentNamed,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.people import reference, references
from stats_service.entrypoints.subscriptions import SUBSCRIPTIONS, TOPICS


def test_each_subscribed_event_becomes_the_fact_that_the_table_names(events: Any) -> None:
    raws = {
        "delivery.recorded": events.window(),
        "execution.planned": events.planned(3),
        "execution.failed": events.failed(2),
        "execution.completed": events.completed(),
        "campaign.created": events.created(),
        "campaign.deleted": events.deleted(),
        "settings.changed": events.settings(0.05),
        "segment.changed": events.segment("Friends"),
        "engagement.clicked": events.clicked(),
        "engagement.converted": events.converted("conv_1"),
        "contact.erased": events.erased("contact_1"),
    }
    for name, raw in raws.items():
        expected = next(fact for event, fact in SUBSCRIPTIONS.items() if issubclass(CATALOGUE[name], event))
        assert type(read_fact(raw)) is expected
    assert TOPICS == [
        "audience-events", "campaign-events", "delivery-events", "engagement-events", "execution-events",
    ]  # fmt: skip


def test_the_parts_of_each_fact_come_from_the_event(events: Any) -> None:
    assert read_fact(events.planned(3)) == ExecutionPlanned("camp_1", "acme", "exec_1", 3)
    at = datetime(2026, 1, 1, 12, 0, 1, 250_000, UTC)
    milliseconds = int(at.timestamp() * 1000)
    failure, completion = End(False, milliseconds, 2), End(True, milliseconds, 0)
    assert read_fact(events.failed(2, failed_at=at)) == ExecutionEnded("camp_1", "acme", "exec_1", failure)
    assert read_fact(events.completed(completed_at=at)) == ExecutionEnded(
        "camp_1", "acme", "exec_1", completion
    )
    assert read_fact(events.created(name="É", sequence=4)) == CampaignSeen(
        "camp_1", "acme", "É", 4, definition=Definition(None, ())
    )
    assert read_fact(events.settings(0.05, revision=4)) == PriceSet("acme", 0.05, 4, "EUR")
    assert read_fact(events.segment("Friends", revision=3, deleted=True)) == SegmentNamed(
        "acme", "seg_a", "Friends", 3, deleted=True
    )
    fact = read_fact(events.window(7, shard=2, shard_completed=True))
    assert isinstance(fact, WindowRecorded)
    assert (fact.shard, fact.window, fact.shard_completed, fact.rows[0].number) == (2, 7, True, 1)


def test_a_row_says_its_segments_by_id_and_whom_it_reached_by_reference(events: Any) -> None:
    tally = [
        {
            "minute": 29_000_000,
            "messageId": "msg_1",
            "variationId": "var_1",
            "status": "successful",
            "count": 2,
            "segments": [2, 0, 2],
            "contactIds": ["contact_1", "contact_2"],
        },
        {"minute": 29_000_000, "messageId": "msg_1", "status": "failed", "errorCode": "X", "count": 1},
    ]
    fact = read_fact(
        events.changed(events.window(segment_ids=["seg_c", "seg_b", "seg_a"]), "data.tally", tally)
    )
    assert isinstance(fact, WindowRecorded)
    reached = references(["contact_1", "contact_2"])
    assert fact.rows == (
        TallyRow(29_000_000, "msg_1", "var_1", "successful", "", 2, ("seg_a", "seg_c"), reached),
        TallyRow(29_000_000, "msg_1", "", "failed", "X", 1),
    )


def test_clicks_and_conversions_are_told_by_reference_in_milliseconds_and_whole_units(events: Any) -> None:
    at = datetime(2026, 1, 1, 12, 0, 1, 250_000, UTC)
    milliseconds = int(at.timestamp() * 1000)
    ann, event = reference("ann"), reference("event_1")
    assert read_fact(events.clicked("ann", event_id="event_1", clicked_at=at)) == Clicked(
        "camp_1", "acme", ann, event, "msg_1", milliseconds
    )
    click = {"executionId": "exec_1", "messageId": "msg_2", "clickedAt": "2026-01-01T12:00:00Z"}
    raw = events.converted("conv_1", "ann", value=0.1234, converted_at=at)
    fact = Converted("camp_1", "acme", ann, reference("conv_1"), 1234, "EUR", milliseconds)
    assert read_fact(raw) == fact
    named = replace(fact, click=ClickTold(milliseconds - 1250, "msg_2"))
    assert read_fact(events.changed(raw, "data.click", click)) == named


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.currency", "E.R"),
        ("data.currency", "euro"),
        ("data.value", -1),
        ("data.value", 1e300),
        ("data.value", None),
        ("data.convertedAt", "1960-01-01T00:00:00Z"),
    ],
)
def test_a_conversion_of_a_wrong_shape_is_malformed(events: Any, path: str, value: Any) -> None:
    with pytest.raises(MalformedEvent):
        read_fact(events.changed(events.converted("conv_1"), path, value))


def test_what_a_campaign_may_cost_its_segments_and_its_messages_come_with_the_events_that_tell_them(
    events: Any,
) -> None:
    audience = {"segments": ["seg_a"]}
    created = events.changed(events.created(), "data.audience", audience)
    fact = read_fact(events.changed(created, "data.budget", 12.5))
    assert isinstance(fact, CampaignSeen)
    assert (fact.definition, fact.messages) == (Definition(12.5, ("seg_a",)), None)
    started = events.changed(events.started(), "data.snapshot.audience", audience)
    varied = [
        {"id": "msg_1", "content": "Hi", "variations": [{"id": "var_1", "content": "Ho", "weight": 50}]}
    ]
    fact = read_fact(events.changed(started, "data.snapshot.messages", varied))
    assert isinstance(fact, CampaignSeen)
    assert (fact.definition, fact.messages) == (Definition(None, ("seg_a",)), (("msg_1", ("var_1",)),))
    for raw in (events.resumed(), events.deleted()):
        fact = read_fact(raw)
        assert isinstance(fact, CampaignSeen)
        assert (fact.definition, fact.messages) == (None, None)


def test_the_links_of_an_execution_come_with_its_messages(events: Any) -> None:
    rows = (["https://a.example", "https://b.example"], ["https://a.example"])
    fact = read_fact(events.started(*rows, test_mode=True))
    assert isinstance(fact, CampaignSeen)
    assert [(link.button, link.url) for link in fact.links] == [
        (0, "https://a.example"), (1, "https://b.example"), (2, "https://a.example"),
    ]  # fmt: skip
    assert len({link.link for link in fact.links}) == 3
    assert {
        (link.execution, link.campaign, link.org, link.message, link.test_mode) for link in fact.links
    } == {("exec_1", "camp_1", "acme", "msg_1", True)}
    mended = read_fact(events.resumed(["https://c.example"]))
    resumed = read_fact(events.resumed())
    assert isinstance(mended, CampaignSeen) and isinstance(resumed, CampaignSeen)
    assert [link.url for link in mended.links] == ["https://c.example"]
    assert resumed.links == ()


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-01-01T12:00:00.25", datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)),
        ("2026-01-01T12:00:00.2509Z", datetime(2026, 1, 1, 12, 0, 0, 250_000, UTC)),
        ("2026-01-01T14:00:00+02:00", datetime(2026, 1, 1, 14, tzinfo=timezone(timedelta(hours=2)))),
        ("0001-01-01T00:00:00+14:00", datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))),
    ],
)
def test_the_time_of_an_end_is_read_in_any_zone_to_the_millisecond(
    events: Any, text: str, moment: datetime
) -> None:
    fact = read_fact(events.changed(events.failed(2), "data.failedAt", text))
    assert isinstance(fact, ExecutionEnded)
    assert fact.end.at * timedelta(milliseconds=1) == moment - datetime(1970, 1, 1, tzinfo=UTC)


def test_a_deleted_campaign_has_no_name_any_more(events: Any) -> None:
    seen = read_fact(events.deleted(name="Secret", sequence=7))
    assert seen == CampaignSeen("camp_1", "acme", "", 7, deleted=True)


def test_unknown_fields_are_ignored(events: Any) -> None:
    raw = events.changed(events.changed(events.window(), "data.later", [1]), "extension", "x")
    assert read_fact(raw) == read_fact(events.window())


def test_test_runs_and_unknown_types_count_nothing(events: Any) -> None:
    assert read_fact(events.window(test_mode=True)) is None
    assert read_fact(events.planned(3, test_mode=True)) is None
    assert read_fact(events.failed(3, test_mode=True)) is None
    assert read_fact(events.completed(test_mode=True)) is None
    assert read_fact(events.clicked(test_mode=True)) is None
    assert read_fact(events.converted("conv_1", test_mode=True)) is None
    assert read_fact(events.changed(events.window(), "type", "delivery.imagined")) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.window", -1),
        ("data.window", "one"),
        ("data.window", 2**40),
        ("data.shard", -1),
        ("data.tally", {}),
        ("data.tally.0.status", "lost"),
        ("data.tally.0.count", 2**70),
        ("data.tally.0.count", 1.5),
        ("data.tally.0.minute", -1),
        ("data.tally.0.segments", [1]),
        ("data.tally.0.segments", [-1]),
        ("data.campaignId", None),
        ("orgid", 5),
        ("type", 5),
    ],
)
def test_a_wrong_shape_is_malformed(events: Any, path: str, value: Any) -> None:
    raw = events.window()
    with pytest.raises(MalformedEvent):
        if ".0." in path:
            head, name = path.rsplit(".", 1)
            raw = _in_row(events, raw, name, value)
            assert head == "data.tally.0"
        else:
            raw = events.changed(raw, path, value)
        read_fact(raw)


def _in_row(events: Any, raw: bytes, name: str, value: Any) -> bytes:
    row = {"minute": 1, "messageId": "msg_1", "status": "successful", "count": 1, name: value}
    changed: bytes = events.changed(raw, "data.tally", [row])
    return changed


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[]", b"\xff\xfe", b'{"type":"delivery.recorded"}'])
def test_broken_bytes_are_malformed(raw: bytes | None) -> None:
    with pytest.raises(MalformedEvent):
        read_fact(raw)


def test_a_segments_revision_is_a_time_in_milliseconds_and_may_be_as_large(events: Any) -> None:
    made = 1_795_000_000_000
    fact = read_fact(events.segment("Friends", revision=made))
    assert fact == SegmentNamed("acme", "seg_a", "Friends", made, deleted=False)
    with pytest.raises(MalformedEvent):
        read_fact(events.segment("Friends", revision=2**60))
