"""What a contact may be."""

from datetime import UTC, datetime

import pytest
from execution_service.domain.contact import Contact, change_contact, note_reach
from execution_service.domain.contact_fields import read_changes, read_contact_id
from service_kit.errors import FieldErrors

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
LATER = datetime(2024, 6, 2, 12, tzinfo=UTC)


def _contact(**fields: object) -> Contact:
    changes = read_changes({"telegramChatId": 7, **fields})
    return change_contact(None, changes, org="acme", contact_id="c1", now=NOW)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("telegramChatId", 0),
        ("telegramChatId", "7"),
        ("telegramChatId", True),
        ("telegramChatId", 1.5),
        ("telegramChatId", 2**63),
        ("telegramChatId", None),
        ("firstName", 5),
        ("firstName", "a\x00b"),
        ("firstName", "\ud800"),
        ("firstName", "x" * 257),
        ("language", "english!"),
        ("timezone", "Mars/Olympus"),
        ("timezone", "../etc/passwd"),
        ("timezone", "localtime"),
        ("location", "us"),
        ("location", "ZZ"),
        ("age", -1),
        ("age", 151),
        ("age", True),
        ("interests", "shopping"),
        ("interests", ["ok", 5]),
        ("interests", [f"i{n}" for n in range(101)]),
        ("purchaseHistory", "yes"),
        ("segments", ["no spaces"]),
        ("segments", ["a/b"]),
        ("tester", 1),
        ("attributes", ["x"]),
        ("unheardOf", 1),
        ("unreachable", "GONE"),
        ("unreachable", ""),
        ("unreachable", False),
    ],
)
def test_a_wrong_value_is_refused_by_the_field_s_name(field: str, value: object) -> None:
    with pytest.raises(FieldErrors) as caught:
        read_changes({field: value})
    assert [detail.field for detail in caught.value.details] == [field]


@pytest.mark.parametrize(
    ("key", "value"), [("a.b", 1), ("$gt", 1), ("", 1), ("k", [1]), ("k", {"x": 1}), ("k", float("nan"))]
)
def test_a_wrong_attribute_is_refused_by_its_key(key: str, value: object) -> None:
    with pytest.raises(FieldErrors) as caught:
        read_changes({"attributes": {key: value}})
    assert [detail.field for detail in caught.value.details] == [f"attributes.{key}"]


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(FieldErrors) as caught:
        read_changes({"age": 200, "location": "xx", "attributes": {"a.b": 1}})
    assert {detail.field for detail in caught.value.details} == {"age", "location", "attributes.a.b"}


def test_text_is_normalised_and_emoji_with_joiners_stay() -> None:
    contact = _contact(firstName="Ame\u0301lie", lastName="👩‍👩‍👧", interests=["a", "b", "a"])
    assert contact.first_name == "Amélie"
    assert contact.last_name == "👩‍👩‍👧"
    assert contact.interests == ("a", "b")


def test_fields_left_out_stay_and_null_empties() -> None:
    before = _contact(
        firstName="Ada", age=36, segments=["s1"], tester=True, attributes={"plan": "pro", "n": 1}
    )
    changes = read_changes({"firstName": None, "tester": None, "attributes": {"n": None, "city": "Rome"}})
    after = change_contact(before, changes, org="acme", contact_id="c1", now=LATER)
    assert (after.first_name, after.tester) == (None, False)
    assert (after.age, after.segments) == (36, ("s1",))
    assert after.attributes == {"plan": "pro", "city": "Rome"}
    assert (after.created_at, after.updated_at) == (NOW, LATER)


def test_what_get_shows_can_be_put_back_without_a_change() -> None:
    before = _contact(firstName="Ada", segments=["s1"])
    shown = {"id": "c1", "telegramChatId": 7, "firstName": "Ada", "lastName": None, "segments": ["s1"],
             "createdAt": "2024-06-01T12:00:00Z", "updatedAt": "2024-06-01T12:00:00Z"}  # fmt: skip
    after = change_contact(before, read_changes(shown), org="acme", contact_id="c1", now=LATER)
    assert after is before


def test_only_null_and_another_chat_make_a_contact_reachable_again() -> None:
    blocked = note_reach(_contact(), 7, "BLOCKED", now=LATER)
    assert (blocked.unreachable, blocked.updated_at) == ("BLOCKED", LATER)

    def after(**fields: object) -> Contact:
        return change_contact(blocked, read_changes(fields), org="acme", contact_id="c1", now=LATER)

    # What GET shows of a person, some time ago or now, comes back with an edit.
    assert after(unreachable="NO_CHAT", telegramChatId=7) is blocked
    assert after(unreachable="BLOCKED", firstName="Ada").unreachable == "BLOCKED"
    assert after(unreachable=None).unreachable is None
    assert after(unreachable="BLOCKED", telegramChatId=8).unreachable is None


def test_what_a_message_to_a_former_chat_said_is_not_noted() -> None:
    contact = _contact()
    assert note_reach(contact, 6, "BLOCKED", now=LATER) is contact
    assert note_reach(contact, 7, None, now=LATER) is contact


def test_a_new_contact_needs_a_chat_id() -> None:
    with pytest.raises(FieldErrors) as caught:
        change_contact(None, read_changes({"firstName": "Ada"}), org="acme", contact_id="c1", now=NOW)
    assert caught.value.details[0].field == "telegramChatId"


def test_attributes_stay_few_even_in_small_steps() -> None:
    before = _contact(attributes={f"k{n}": n for n in range(100)})
    with pytest.raises(FieldErrors):
        change_contact(before, read_changes({"attributes": {"one": 1}}), org="acme", contact_id="c1", now=NOW)


@pytest.mark.parametrize("bad", ["", None, 5, "a/b", "ü", "x" * 129, "-x", "a\n"])
def test_an_id_that_cannot_stand_in_an_address_is_refused(bad: object) -> None:
    with pytest.raises(FieldErrors):
        read_contact_id(bad)
