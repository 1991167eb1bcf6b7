"""Importing: what is counted, what is stored."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from execution_service.application.import_contacts import (
    BATCH_LINES,
    ImportLine,
    ImportResult,
    import_contacts,
)
from execution_service.application.ports import Collision
from execution_service.domain.contact_fields import read_changes
from service_kit.errors import DependencyDown
from service_kit.ports import Tx

Audience = Any


def _line(number: int, contact_id: str, **fields: object) -> ImportLine:
    return ImportLine(number, 50, contact_id, read_changes(fields))


async def _import(audience: Audience, *chunks: Sequence[ImportLine]) -> ImportResult:
    async def lines() -> AsyncIterator[Sequence[ImportLine]]:
        for chunk in chunks:
            yield chunk

    return await import_contacts(
        "acme",
        lines(),
        contacts=audience.contacts,
        transactions=audience.transactions,
        clock=audience.clock,
    )


async def test_the_last_line_of_an_id_wins_and_each_line_is_counted_once(audience: Audience) -> None:
    result = await _import(
        audience,
        [
            _line(1, "c1", telegramChatId=1, firstName="Al"),
            _line(2, "c1", firstName="Bo"),
            ImportLine(3, 5, problem="not valid JSON"),
            _line(4, "c2", firstName="no chat"),
            _line(5, "c2", telegramChatId=2),
        ],
    )
    assert (result.imported, result.updated, result.rejected) == (2, 1, 2)
    assert result.errors == [(3, "not valid JSON"), (4, "telegramChatId: is required")]
    assert audience.contacts.rows["acme/c1"].first_name == "Bo"


async def test_importing_again_changes_nothing_and_marks_nothing(audience: Audience) -> None:
    lines = [_line(1, "c1", telegramChatId=1, segments=["s1"])]
    await _import(audience, lines)
    before, marks = dict(audience.contacts.rows), len(audience.changes.rows)
    audience.clock.advance(60)
    result = await _import(audience, lines)
    assert (result.imported, result.updated, result.rejected) == (0, 1, 0)
    assert audience.contacts.rows == before
    assert len(audience.changes.rows) == marks == 1


async def test_batches_are_bounded_and_only_a_hundred_errors_are_told(audience: Audience) -> None:
    good = [_line(n, f"c{n}", telegramChatId=n) for n in range(1, BATCH_LINES + 2)]
    bad = [ImportLine(BATCH_LINES + 2 + n, 5, problem="bad") for n in range(250)]
    result = await _import(audience, good, bad)
    assert (result.imported, result.rejected, len(result.errors)) == (BATCH_LINES + 1, 250, 100)
    assert len(audience.changes.rows) == 2


class _Colliding:
    """Contacts that somebody else stores at the same moment, `times` times."""

    def __init__(self, contacts: Any, times: int) -> None:
        self._contacts = contacts
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._contacts, name)

    async def insert(self, tx: Tx, contacts: Sequence[Any]) -> None:
        self._left -= 1
        if self._left >= 0:
            raise Collision
        await self._contacts.insert(tx, contacts)


async def test_a_collision_runs_the_batch_again(audience: Audience) -> None:
    stored = audience.contacts
    audience.contacts = _Colliding(stored, times=2)
    result = await _import(audience, [_line(1, "c1", telegramChatId=1)])
    assert (result.imported, list(stored.rows)) == (1, ["acme/c1"])


async def test_endless_collisions_end_in_an_answer(audience: Audience) -> None:
    audience.contacts = _Colliding(audience.contacts, times=99)
    with pytest.raises(DependencyDown):
        await _import(audience, [_line(1, "c1", telegramChatId=1)])
