"""Templates become texts, and data stays data."""

from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import FrozenMessage, ParseMode, Personalization, Variation
from execution_service.domain.contact import Contact
from execution_service.domain.rendering import (
    MissingField,
    compile_message,
    compile_template,
    render,
    values_of,
    visible_length,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def contact(**fields: Any) -> Contact:
    return Contact("acme", "con_1", 7, NOW, NOW, **fields)


def rendered(
    text: str, mode: ParseMode = "none", personal: Personalization | None = None, **fields: Any
) -> str:
    template = compile_template(text, mode, personal or Personalization())
    return render(template, values_of(contact(**fields)))


def test_placeholders_take_the_contacts_values() -> None:
    text = "{{firstName}} {{ lastName }}, {{age}}, {{interests}}, {{purchaseHistory}}, {{attributes.city}}"
    assert (
        rendered(
            text,
            first_name="Søren",
            last_name="Ñandú",
            age=40,
            interests=("tea", "chess"),
            purchase_history=True,
            attributes={"city": "東京"},
        )
        == "Søren Ñandú, 40, tea, chess, true, 東京"
    )


def test_a_default_stands_in_for_a_missing_or_empty_value() -> None:
    assert rendered("Hi {{firstName|there}}!") == "Hi there!"
    assert rendered("Hi {{firstName|there}}!", first_name="") == "Hi there!"
    assert rendered("Hi{{firstName|}}!") == "Hi!"


def test_a_missing_value_without_default_is_told() -> None:
    with pytest.raises(MissingField):
        rendered("Hi {{firstName}}")
    with pytest.raises(MissingField):
        rendered("{{attributes.city}}", attributes={"town": "x"})


def test_only_listed_fields_are_filled() -> None:
    personal = Personalization(fields=["firstName"])
    assert rendered("{{firstName}} {{lastName}}", personal=personal, first_name="A") == "A {{lastName}}"
    assert (
        rendered("{{firstName}}", personal=Personalization(enabled=False), first_name="A") == "{{firstName}}"
    )


def test_values_are_escaped_for_html_and_the_template_is_not() -> None:
    assert rendered("<b>{{firstName}}</b>", "HTML", first_name='<a href="x">&') == (
        "<b>&lt;a href=&quot;x&quot;&gt;&amp;</b>"
    )


def test_values_and_defaults_are_escaped_for_markdown() -> None:
    special = r"_*[]()~`>#+-=|{}.!" + "\\"
    escaped = "".join("\\" + character for character in special)
    assert rendered("*{{firstName}}*", "MarkdownV2", first_name=special) == f"*{escaped}*"
    assert rendered("{{firstName|friend!}}", "MarkdownV2") == "friend\\!"


def test_a_value_that_looks_like_a_placeholder_is_not_filled_again() -> None:
    assert rendered("{{firstName}}", first_name="{{lastName}}", last_name="X") == "{{lastName}}"


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


def test_a_contact_keeps_its_variation() -> None:
    message = compile_message(
        FrozenMessage(id="msg", content="own", variations=[Variation(id="v1", content="other", weight=50)])
    )
    chosen = [message.choose("seed", f"con_{number}")[0] for number in range(100)]
    assert set(chosen) == {None, "v1"}
    assert chosen == [message.choose("seed", f"con_{number}")[0] for number in range(100)]
