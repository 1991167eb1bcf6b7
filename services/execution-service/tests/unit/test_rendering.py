"""Templates become texts, and data stays data."""

from typing import Any

import pytest
from contracts.events.campaign import FrozenMessage, ParseMode, Personalization, Variation
from execution_service.domain.markup import visible_length
from execution_service.domain.rendering import (
    MAX_LENGTH,
    MissingField,
    compile_message,
    compile_template,
    length_fault,
    render,
)


def rendered(
    text: str, mode: ParseMode = "none", personal: Personalization | None = None, **fields: Any
) -> str:
    template = compile_template(text, mode, personal or Personalization())
    return render(template, fields)


def test_placeholders_take_the_contacts_values() -> None:
    text = "{{firstName}} {{ lastName }}, {{age}}, {{interests}}, {{purchaseHistory}}, {{attributes.city}}"
    assert (
        rendered(
            text,
            firstName="Søren",
            lastName="Ñandú",
            age=40,
            interests=["tea", "chess"],
            purchaseHistory=True,
            attributes={"city": "東京"},
        )
        == "Søren Ñandú, 40, tea, chess, true, 東京"
    )


def test_a_default_stands_in_for_a_missing_or_empty_value() -> None:
    assert rendered("Hi {{firstName|there}}!") == "Hi there!"
    assert rendered("Hi {{firstName|there}}!", firstName="") == "Hi there!"
    assert rendered("Hi{{firstName|}}!") == "Hi!"


def test_a_missing_value_without_default_is_told() -> None:
    with pytest.raises(MissingField):
        rendered("Hi {{firstName}}")
    with pytest.raises(MissingField):
        rendered("{{attributes.city}}", attributes={"town": "x"})


@pytest.mark.parametrize("field", ["contactId", "org", "optedOut", "attributes", "firstName.x", "nothing"])
def test_what_is_no_field_of_templates_is_missing_though_the_contact_has_it(field: str) -> None:
    had = {"contactId": "con_1", "org": "acme", "optedOut": True, "attributes": {"a": 1}, "firstName": "A"}
    with pytest.raises(MissingField):
        rendered(f"{{{{{field}}}}}", **had)
    assert rendered(f"{{{{{field}|x}}}}", **had) == "x"


def test_a_message_knows_the_fields_that_it_and_its_variations_ask_for() -> None:
    other = Variation(id="v1", content="{{attributes.city}} {{attributes.city|x}} {{nothing|y}}", weight=50)
    message = FrozenMessage(id="msg", content="{{firstName}} {{age}}", variations=[other])
    assert compile_message(message).fields == {"firstName", "age", "attributes.city"}


def test_only_listed_fields_are_filled() -> None:
    personal = Personalization(fields=["firstName"])
    assert rendered("{{firstName}} {{lastName}}", personal=personal, firstName="A") == "A {{lastName}}"
    assert (
        rendered("{{firstName}}", personal=Personalization(enabled=False), firstName="A") == "{{firstName}}"
    )


def test_values_are_escaped_for_html_and_the_template_is_not() -> None:
    assert rendered("<b>{{firstName}}</b>", "HTML", firstName='<a href="x">&') == (
        "<b>&lt;a href=&quot;x&quot;&gt;&amp;</b>"
    )


def test_values_and_defaults_are_escaped_for_markdown() -> None:
    special = r"_*[]()~`>#+-=|{}.!" + "\\"
    escaped = "".join("\\" + character for character in special)
    assert rendered("*{{firstName}}*", "MarkdownV2", firstName=special) == f"*{escaped}*"
    assert rendered("{{firstName|friend!}}", "MarkdownV2") == "friend\\!"


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert rendered("{{firstName}}", firstName="{{lastName}}", lastName="X") == "{{lastName}}"


@pytest.mark.parametrize(
    ("text", "mode", "length"),
    [
        ("  ", "none", 0),
        ("<b> </b>", "HTML", 0),
        ("<b>a&amp;b</b>", "HTML", 3),
        ("a\\.b", "MarkdownV2", 3),
        ("😀" * 4096, "none", 4096),
    ],
)
def test_length_counts_what_people_see(text: str, mode: ParseMode, length: int) -> None:
    assert visible_length(text, mode) == length


@pytest.mark.parametrize("mode", ["none", "HTML", "MarkdownV2"])
@pytest.mark.parametrize(
    "content", ["{{firstName}}", "<b>{{firstName}}</b>", "Hi {{firstName|x}}", " \n", "*{{age|.}}*"]
)
@pytest.mark.parametrize("name", [" ", "A", "<" * 2_000, "é" * MAX_LENGTH, "é" * (MAX_LENGTH + 1)])
def test_a_length_is_judged_as_if_all_of_the_text_were_looked_at(
    mode: ParseMode, content: str, name: str
) -> None:
    template = compile_template(content, mode, Personalization())
    text = render(template, {"firstName": name})
    length = visible_length(text, mode)
    fault = "MESSAGE_TOO_LONG" if length > MAX_LENGTH else "MESSAGE_EMPTY" if length == 0 else None
    assert length_fault(text, template) == fault


def test_a_contact_keeps_its_variation() -> None:
    message = compile_message(
        FrozenMessage(id="msg", content="own", variations=[Variation(id="v1", content="other", weight=50)])
    )
    chosen = [message.choose("seed", f"con_{number}")[0] for number in range(100)]
    assert set(chosen) == {None, "v1"}
    assert chosen == [message.choose("seed", f"con_{number}")[0] for number in range(100)]
