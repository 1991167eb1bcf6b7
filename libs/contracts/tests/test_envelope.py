"""Reading and writing events."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from contracts.catalogue import CATALOGUE, decode, event_type
from contracts.envelope import MalformedEvent, UnknownEventType, encode, format_time, new_event
from contracts.events.audience import AudienceEstimated
from contracts.events.delivery import DeliveryRecorded, decode_fast
from contracts.ids import created_at, new_id
from contracts.schemas import render, schemas

HERE = Path(__file__).parent
SCHEMAS = HERE.parent / "schemas"
GOLDEN = {path.stem: path for path in sorted((HERE / "golden").glob("*.json"))}
NOW = datetime(2026, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)


def estimated() -> bytes:
    data = AudienceEstimated(campaign_id="camp_1", total_count=7, estimated_at=NOW)
    return encode(new_event(data, source="/execution-service", subject="camp_1", org="acme", time=NOW))


def test_an_event_reads_back_as_it_was_written():
    event = decode(estimated())
    assert event.data == AudienceEstimated(campaign_id="camp_1", total_count=7, estimated_at=NOW)
    assert (event.type, event.subject, event.orgid, event.time) == (
        "audience.estimated",
        "camp_1",
        "acme",
        NOW,
    )
    assert event.sequence is None


def test_the_wire_form_is_a_cloudevent_with_camel_case_data():
    wire = json.loads(estimated())
    assert wire["specversion"] == "1.0"
    assert wire["dataschema"] == "urn:campaigns:audience.estimated:v1"
    assert wire["data"] == {
        "campaignId": "camp_1",
        "totalCount": 7,
        "estimatedAt": "2026-01-02T03:04:05.678Z",
    }
    assert "traceparent" not in wire


def test_an_unknown_field_is_ignored_everywhere():
    wire = json.loads(estimated())
    wire["extension"] = 1
    wire["data"]["somethingNew"] = {"deep": True}
    assert decode(json.dumps(wire).encode()).data.total_count == 7


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"type": 5}', b"\xff\xfe", b'{"no": "type"}'])
def test_bytes_that_are_no_event_are_malformed(raw: bytes):
    with pytest.raises(MalformedEvent):
        decode(raw)


def test_a_wrong_value_is_named_without_being_quoted():
    wire = json.loads(estimated())
    wire["data"]["totalCount"] = "private words"
    with pytest.raises(MalformedEvent, match=r"data\.totalCount") as caught:
        decode(json.dumps(wire).encode())
    assert "private words" not in str(caught.value)


def test_a_type_of_a_later_version_of_the_system_is_unknown_not_malformed():
    wire = json.loads(estimated()) | {"type": "campaign.invented"}
    with pytest.raises(UnknownEventType):
        decode(json.dumps(wire).encode())
    assert event_type(json.dumps(wire).encode()) == "campaign.invented"


def test_every_type_has_a_golden_example():
    assert set(GOLDEN) == {f"{name}.v{model.version}" for name, model in CATALOGUE.items()}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_events_written_by_earlier_versions_stay_readable(name: str):
    """Golden files are never edited: a change that breaks this needs a new version beside the old one."""
    raw = GOLDEN[name].read_bytes()
    event = decode(raw)
    assert holds(json.loads(encode(event)), json.loads(raw))


def holds(now: Any, then: Any) -> bool:
    """Whether all of `then` is in `now`; what came later may only be added empty."""
    if isinstance(then, dict):
        added = [value for key, value in now.items() if key not in then]
        return not any(added) and all(key in now and holds(now[key], then[key]) for key in then)
    if isinstance(then, list):
        return len(now) == len(then) and all(map(holds, now, then))
    return bool(now == then)


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden_examples_fit_the_committed_schemas(name: str):
    schema = json.loads((SCHEMAS / f"{name}.json").read_text(encoding="utf-8"))
    jsonschema.validate(json.loads(GOLDEN[name].read_text(encoding="utf-8")), schema)


def test_committed_schemas_are_current():
    assert {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")} == {
        name: render(schema) for name, schema in schemas().items()
    }, "run: uv run python -m contracts.schemas libs/contracts/schemas"


def test_the_fast_reader_of_deliveries_agrees_with_the_contract():
    raw = GOLDEN["delivery.recorded.v1"].read_bytes()
    slow, fast = decode(raw).data, decode_fast(raw).data
    assert isinstance(slow, DeliveryRecorded)
    assert fast.shard_completed == slow.shard_completed
    assert [
        (r.minute, r.message_id, r.variation_id, r.status, r.error_code, r.count) for r in fast.tally
    ] == [(r.minute, r.message_id, r.variation_id, r.status, r.error_code, r.count) for r in slow.tally]


def test_the_fast_reader_calls_broken_bytes_malformed():
    for raw in (b"{", b"{}", b"\xff", b'{"id":"1","orgid":"a","data":{}}'):
        with pytest.raises(MalformedEvent):
            decode_fast(raw)


def test_ids_sort_in_the_order_they_were_made():
    made = [new_id("evt") for _ in range(5000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_an_id_tells_when_it_was_made_and_a_foreign_one_does_not():
    stamp = created_at(new_id("camp"))
    assert stamp is not None
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 5
    assert created_at("seg123") is None
    assert created_at("") is None


def test_times_are_utc_with_z_and_milliseconds_only_when_there_are_any():
    assert format_time(NOW) == "2026-01-02T03:04:05.678Z"
    assert format_time(NOW.replace(microsecond=0)) == "2026-01-02T03:04:05Z"
