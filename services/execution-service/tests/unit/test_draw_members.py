"""Whom a forecast looks at: everybody whom the execution takes, or some of them all over the audience."""

from typing import Any

import pytest
from execution_service.application import draw_members
from execution_service.application.draw_members import Choice, DrawMembers
from execution_service.application.put_contact import put_contact
from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.audience_columns import CHUNK_SIZE
from execution_service.domain.sampling import in_sample

Audience = Any
EVERYBODY = Choice(testers_only=False, seed="s", percentage=100)


@pytest.fixture
async def draw(audience: Audience) -> DrawMembers:
    """Eighty contacts, ten to a chunk; every fourth is a tester."""
    for number in range(80):
        audience.contacts.given = number // 10 * CHUNK_SIZE + number % 10 * 7
        await put_contact(
            "acme", f"c{number:02}", {"telegramChatId": 1, "segments": ["a"], "tester": number % 4 == 0},
            contacts=audience.contacts, segments=audience.segments, transactions=audience.transactions,
            clock=audience.clock,
        )  # fmt: skip
    while await audience.fold.oldest():
        pass
    return DrawMembers(audience.chunks)


def rule() -> AudienceRule:
    return read_rule(["a"], None, [])


async def test_everybody_is_drawn_whom_the_execution_takes_in_its_order(
    audience: Audience, draw: DrawMembers
) -> None:
    drawn = await draw.all("acme", rule(), EVERYBODY)
    assert [one.contact_id for one in drawn] == [f"c{number:02}" for number in range(80)]
    assert [audience.contacts.rows[f"acme/{one.contact_id}"].ordinal for one in drawn] == [
        one.ordinal for one in drawn
    ]
    sampled = await draw.all("acme", rule(), Choice(testers_only=True, seed="s", percentage=50))
    assert [one.contact_id for one in sampled] == [
        name for name in (f"c{number:02}" for number in range(0, 80, 4)) if in_sample("s", name, 50)
    ]
    assert await draw.all("other", rule(), EVERYBODY) == []


async def test_some_are_drawn_all_over_the_audience(
    draw: DrawMembers, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = await draw.some("acme", rule(), EVERYBODY, total=80, about=16)
    assert [one.contact_id for one in drawn] == [f"c{number:02}" for number in range(0, 80, 5)]
    monkeypatch.setattr(draw_members, "CHUNKS_AT_MOST", 3)
    drawn = await draw.some("acme", rule(), EVERYBODY, total=80, about=9)
    assert [one.contact_id[1] for one in drawn] == ["0"] * 4 + ["3"] * 3 + ["6"] * 3
    assert len(await draw.some("acme", rule(), EVERYBODY, total=80, about=1_000)) == 30
