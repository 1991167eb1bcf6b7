"""From bytes to facts."""

from typing import Any

import pytest
from contracts.catalogue import CATALOGUE
from contracts.envelope import MalformedEvent
from stats_service.application.read_fact import read_fact
from stats_service.domain.facts import CampaignSeen, ExecutionEnded, ExecutionPlanned, WindowRecorded
from stats_service.entrypoints.subscriptions import SUBSCRIPTIONS, TOPICS


def test_each_subscribed_event_becomes_the_fact_that_the_table_names(events: Any) -> None:
    raws = {
        "delivery.recorded": events.window(),
        "execution.planned": events.planned(3),
        "execution.failed": events.failed(2),
        "campaign.created": events.created(),
    }
    for name, raw in raws.items():
        expected = next(fact for event, fact in SUBSCRIPTIONS.items() if issubclass(CATALOGUE[name], event))
        assert type(read_fact(raw)) is expected
    assert TOPICS == ["campaign-events", "delivery-events", "execution-events"]


def test_the_parts_of_each_fact_come_from_the_event(events: Any) -> None:
    assert read_fact(events.planned(3)) == ExecutionPlanned("camp_1", "acme", "exec_1", 3)
    assert read_fact(events.failed(2)) == ExecutionEnded("camp_1", "acme", "exec_1", 2)
    assert read_fact(events.created(name="É", sequence=4)) == CampaignSeen("camp_1", "acme", "É", 4)
    fact = read_fact(events.window(7, shard=2, shard_completed=True))
    assert isinstance(fact, WindowRecorded)
    assert (fact.shard, fact.window, fact.shard_completed, fact.rows[0].count) == (2, 7, True, 1)


def test_unknown_fields_are_ignored(events: Any) -> None:
    raw = events.changed(events.changed(events.window(), "data.later", [1]), "extension", "x")
    assert read_fact(raw) == read_fact(events.window())


def test_test_runs_and_unknown_types_count_nothing(events: Any) -> None:
    assert read_fact(events.window(test_mode=True)) is None
    assert read_fact(events.planned(3, test_mode=True)) is None
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
