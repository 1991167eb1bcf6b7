"""The limits of a contact that the API's document tells are the ones that are kept."""

from typing import Any

import pytest
from execution_service.domain.contact_fields import read_changes
from execution_service.entrypoints.api.contacts import ContactPatch
from service_kit.errors import FieldErrors

FIELDS: dict[str, dict[str, Any]] = ContactPatch.model_json_schema(by_alias=True)["properties"]


def accepted(name: str, value: object) -> bool:
    try:
        read_changes({name: value})
    except FieldErrors:
        return False
    return True


@pytest.mark.parametrize("name", ["firstName", "lastName", "username", "lastPurchase"])
def test_a_text_may_be_as_long_as_told_and_no_longer(name: str) -> None:
    most = FIELDS[name]["maxLength"]
    assert accepted(name, "x" * most)
    assert not accepted(name, "x" * (most + 1))


@pytest.mark.parametrize("name", ["age", "telegramChatId"])
def test_a_number_may_be_as_small_and_as_large_as_told_and_no_more(name: str) -> None:
    field = FIELDS[name]
    least, most = field["minimum"], field.get("maximum", field.get("exclusiveMaximum", 0) - 1)
    assert accepted(name, least) and accepted(name, most)
    assert not accepted(name, least - 1) and not accepted(name, most + 1)


@pytest.mark.parametrize("name", ["interests", "segments"])
def test_a_list_may_be_as_long_as_told_and_so_may_its_items(name: str) -> None:
    most, item = FIELDS[name]["maxItems"], FIELDS[name]["anyOf"][0]["items"]["maxLength"]
    assert accepted(name, ["x"] * most) and accepted(name, ["x" * item])
    assert not accepted(name, ["x"] * (most + 1)) and not accepted(name, ["x" * (item + 1)])


def test_an_attribute_keeps_the_limits_that_are_told() -> None:
    kinds = {kind["type"]: kind for kind in FIELDS["attributes"]["anyOf"][0]["additionalProperties"]["anyOf"]}
    longest, largest = kinds["string"]["maxLength"], kinds["integer"]["exclusiveMaximum"] - 1
    assert accepted("attributes", {"a": "x" * longest, "b": largest, "c": kinds["number"]["maximum"]})
    assert not accepted("attributes", {"a": "x" * (longest + 1)})
    assert not accepted("attributes", {"a": largest + 1})
