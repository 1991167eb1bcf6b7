"""What is read of a contact to send to it."""

from typing import Any

import pytest
from contracts.events.campaign import Personalization
from execution_service.domain.rendering import compile_template, render

pytestmark = pytest.mark.integration


async def test_an_addressee_has_only_the_fields_that_the_text_asks_for(engine: Any) -> None:
    await engine.contacts([1], age=40, attributes={"city": "東京", "n": 1}, interests=("a", "b"))
    await engine.contacts([2], opted_out=True)
    text = "{{firstName}}: {{interests}}, {{attributes.city}}, {{attributes.none|x}}"
    template = compile_template(text, "none", Personalization())
    assert template.fields == {"firstName", "interests", "attributes.city", "attributes.none"}

    found = await engine.wiring.contacts.addressees(
        "acme", ["con_000001", "con_000002", "con_000003"], template.fields
    )
    assert {name: (row.telegram_chat_id, row.opted_out) for name, row in found.items()} == {
        "con_000001": (1, False),
        "con_000002": (2, True),
    }
    assert "age" not in found["con_000001"].fields
    assert found["con_000001"].fields["attributes"] == {"city": "東京"}
    assert render(template, found["con_000001"].fields) == "Näme 1: a, b, 東京, x"
    assert await engine.wiring.contacts.addressees("other", ["con_000001"], template.fields) == {}
