"""What the catalogue says of a body is what is posted: no more, no less."""

import json
from pathlib import Path
from typing import Any

import pytest
from contracts.catalogue import decode
from jsonschema import Draft202012Validator, FormatChecker
from webhook_service.application.event_catalogue import EventTypeInfo, event_catalogue
from webhook_service.application.event_types import EVENT_TYPES, TEST_EVENT
from webhook_service.application.fan_out_event import event_body

GOLDEN = Path(__file__).parents[4] / "libs/contracts/tests/golden"
CATALOGUE = {info.type: info for info in event_catalogue()}


def closed(schema: Any) -> Any:
    """The schema, with every object refusing what it does not name."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    extra = {"additionalProperties": False} if "properties" in schema else {}
    return {name: closed(value) for name, value in schema.items()} | extra


def problems(info: EventTypeInfo, body: Any) -> list[str]:
    Draft202012Validator.check_schema(info.schema)
    validator = Draft202012Validator(closed(info.schema), format_checker=FormatChecker())
    return [error.message for error in validator.iter_errors(body)]


def test_every_type_that_can_arrive_is_in_the_catalogue_and_only_the_test_cannot_be_subscribed_to():
    assert list(CATALOGUE) == [*EVENT_TYPES, TEST_EVENT]
    assert [info.type for info in CATALOGUE.values() if not info.subscribable] == [TEST_EVENT]
    assert all(info.description for info in CATALOGUE.values())


@pytest.mark.parametrize("name", [*EVENT_TYPES, TEST_EVENT])
def test_an_example_is_valid_by_its_schema_and_shows_every_field_that_must_be_there(name: str):
    info = CATALOGUE[name]
    assert problems(info, info.example) == []
    for field in info.schema["properties"]["data"]["required"]:
        broken = json.loads(json.dumps(info.example))
        del broken["data"][field]
        assert problems(info, broken) != []


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("campaign.*.json")), ids=lambda path: path.stem)
def test_the_body_of_a_real_event_is_valid_by_the_schema_and_has_no_field_beside_it(path: Path):
    event = decode(path.read_bytes())
    assert problems(CATALOGUE[event.type], json.loads(event_body(event))) == []


@pytest.mark.parametrize("name", EVENT_TYPES)
def test_what_is_ours_alone_is_in_no_schema(name: str):
    data = CATALOGUE[name].schema["properties"]["data"]["properties"]
    assert not {"snapshot", "audience"} & data.keys()
    assert not {"ExecutionSnapshot", "AudienceDefinition"} & CATALOGUE[name].schema.get("$defs", {}).keys()
