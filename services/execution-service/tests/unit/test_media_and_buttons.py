"""Captions, labels, and the links behind buttons."""

import base64
from typing import Any

import pytest
from contracts.events.campaign import Button, FrozenMessage, Media, Personalization, Variation
from contracts.tracking import TrackingKeys, links_of
from execution_service.application.tracking_links import TrackingLinks
from execution_service.domain.rendering import MAX_CAPTION, Composed, compile_message, compose

PHOTO = Media(type="photo", url="https://cdn.example/a.jpg")
ROWS = [
    [Button(text="Shop, {{firstName|friend}}", url="https://shop.example"), Button(text="B", url="https://b.example")],
    [Button(text="{{attributes.city}}", url="https://c.example")],
]  # fmt: skip


def composed(message: FrozenMessage, **fields: Any) -> Composed | str:
    compiled = compile_message(message)
    return compose(compiled, compiled.own, fields)


def test_labels_are_filled_as_plain_text_whatever_the_parse_mode_is() -> None:
    message = FrozenMessage(id="m", content="<b>{{firstName}}</b>", parse_mode="HTML", buttons=ROWS)
    told = composed(message, firstName="<A&B>", attributes={"city": "Łódź"})
    assert told == Composed("<b>&lt;A&amp;B&gt;</b>", [["Shop, <A&B>", "B"], ["Łódź"]])
    assert compile_message(message).fields == {"firstName", "attributes.city"}


def test_a_label_follows_the_messages_rules_for_placeholders() -> None:
    listed = FrozenMessage(
        id="m", content="Hi", buttons=ROWS, personalization=Personalization(fields=["firstName"])
    )
    assert composed(listed) == Composed("Hi", [["Shop, friend", "B"], ["{{attributes.city}}"]])
    assert composed(FrozenMessage(id="m", content="Hi", buttons=ROWS)) == "MISSING_FIELD"
    empty = FrozenMessage(
        id="m", content="Hi", buttons=[[Button(text="{{lastName|}}", url="https://a.example")]]
    )
    assert composed(empty) == "MESSAGE_EMPTY"


@pytest.mark.parametrize("mode", ["none", "HTML", "MarkdownV2"])
def test_a_caption_is_shorter_than_a_text_and_may_be_empty(mode: Any) -> None:
    def fault(content: str, name: str, media: Media | None = PHOTO) -> Composed | str:
        return composed(FrozenMessage(id="m", content=content, parse_mode=mode, media=media), firstName=name)

    assert isinstance(fault("{{firstName}}", "é" * MAX_CAPTION), Composed)
    assert fault("{{firstName}}", "é" * (MAX_CAPTION + 1)) == "MESSAGE_TOO_LONG"
    assert isinstance(fault("{{firstName}}", "é" * (MAX_CAPTION + 1), None), Composed)
    assert fault("", "A") == Composed("", ())
    assert fault("{{firstName|}}", "") == Composed("", ())
    assert fault("{{firstName|}}", "", None) == "MESSAGE_EMPTY"


def test_a_variations_text_is_a_caption_too() -> None:
    other = Variation(id="v", content="x" * (MAX_CAPTION + 1), weight=100)
    compiled = compile_message(FrozenMessage(id="m", content="", variations=[other], media=PHOTO))
    assert compose(compiled, compiled.variations[0][1], {}) == "MESSAGE_TOO_LONG"


def test_each_contact_and_button_has_a_link_of_its_own_that_says_so() -> None:
    keys = TrackingKeys(f"k1:{base64.b64encode(bytes(32)).decode()}")
    links = TrackingLinks(keys, base_url="https://go.example/api/v1/t/")
    message = FrozenMessage(id="m", content="Hi", buttons=[[ROWS[0][1], ROWS[0][1]], ROWS[1]])
    compiled = compile_message(message)
    told = compose(compiled, compiled.own, {"attributes": {"city": "Bern"}})
    assert isinstance(told, Composed)
    keyboards = [links.keyboard("exec_1", contact, compiled, told.labels) for contact in ("c1", "c2")]
    assert [[button.text for button in row] for row in keyboards[0]] == [["B", "B"], ["Bern"]]
    urls = [button.url for keyboard in keyboards for row in keyboard for button in row]
    assert len(set(urls)) == 6
    read = [keys.read(url.removeprefix("https://go.example/api/v1/t/")) for url in urls]
    assert [item.link_id for item in read[:3]] == [link.link_id for link in links_of(message)]
    assert {item.execution_id for item in read} == {"exec_1"}
    assert [item.contact_id for item in read] == ["c1"] * 3 + ["c2"] * 3
