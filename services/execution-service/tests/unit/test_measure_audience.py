"""What counting costs: only chunks that changed are read again, and memory is bounded."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from execution_service.application import measure_audience
from execution_service.application.put_contact import put_contact
from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.audience_columns import CHUNK_SIZE, width

Audience = Any


async def _put(audience: Audience, contact_id: str, **fields: Any) -> None:
    await put_contact(
        "acme", contact_id, {"telegramChatId": 1, **fields}, contacts=audience.contacts, segments=audience.segments,
        transactions=audience.transactions, clock=audience.clock,
    )  # fmt: skip


@pytest.fixture
async def chunks_read(audience: Audience) -> list[int]:
    """Forty contacts in forty chunks; every chunk that is read from now on."""
    for number in range(40):
        audience.contacts.given = number * CHUNK_SIZE
        await _put(audience, f"c{number}", segments=["a"], age=number)
    read: list[int] = []
    real = audience.chunks.read

    async def noted(org: str, numbers: Sequence[int], *args: Any, **kwargs: Any) -> Any:
        read.extend(numbers)
        return await real(org, numbers, *args, **kwargs)

    audience.chunks.read = noted
    return read


async def test_a_changed_contact_costs_its_chunk_for_all_rules_together(
    audience: Audience, chunks_read: list[int]
) -> None:
    rules = [read_rule(["a"], None, []), read_rule([], {"ageRange": [0, 9]}, []), AudienceRule()]
    await audience.measure.current("acme", rules[0])
    assert sorted(chunks_read) == list(range(40))
    chunks_read.clear()
    assert [tally.total for tally in await audience.measure.tallies("acme", rules)] == [40, 10, 0]
    assert sorted(chunks_read) == list(range(40)), "a rule that nobody asked for before"
    chunks_read.clear()
    await _put(audience, "c7", age=50)
    while await audience.fold.oldest():
        pass
    assert [tally.total for tally in await audience.measure.tallies("acme", rules)] == [40, 9, 0]
    assert chunks_read == [7]


async def test_rules_about_true_and_about_one_are_not_taken_for_each_other(audience: Audience) -> None:
    await _put(audience, "c1", attributes={"n": True})
    await _put(audience, "c2", attributes={"n": 1})
    await _put(audience, "c3", attributes={"n": 1.0})
    rules = [read_rule([], {"n": value}, []) for value in (True, 1, 1.0)]
    await audience.measure.current("acme", rules[0])
    assert [tally.total for tally in await audience.measure.tallies("acme", rules)] == [1, 2, 2]


async def test_what_was_not_asked_for_longest_is_forgotten_first(
    audience: Audience, chunks_read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure_audience, "REMEMBERED", 2 * 40 * (1 + width(AudienceRule())))
    rules = [read_rule([], {"ageRange": [0, most]}, []) for most in (9, 19, 29)]
    for rule in rules:
        await audience.measure.current("acme", rule)
    chunks_read.clear()
    assert [(await audience.measure.current("acme", rule)).total for rule in rules[1:]] == [20, 30]
    assert chunks_read == []
    assert (await audience.measure.current("acme", rules[0])).total == 10
    assert len(chunks_read) == 40


async def test_a_count_that_may_not_wait_tells_what_the_index_has(
    audience: Audience, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _put(audience, "c1", segments=["a"])

    async def long(org: str) -> list[str]:
        await asyncio.Event().wait()
        return []

    audience.changes.waiting = long
    monkeypatch.setattr(audience.measure, "_seconds", 0.01)
    assert (await audience.measure.current("acme", read_rule(["a"], None, []))).total == 0
