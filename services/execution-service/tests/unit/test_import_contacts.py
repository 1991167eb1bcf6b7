"""Importing: what is counted, what is stored."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from contracts.ids import new_id
from execution_service.application.import_contacts import (
    BATCH_LINES,
    ImportContacts,
    ImportLine,
    ReadLines,
)
from execution_service.application.ports import Collision
from execution_service.application.ports_import import ImportRecord, ImportResult
from execution_service.domain.contact_fields import read_changes
from execution_service.domain.errors import ImportIdReused, ImportRunning
from service_kit.errors import DependencyDown
from service_kit.ports import Tx

Audience = Any
BREAK: list[ImportLine] = [ImportLine(0, 0, problem="break")]


def _line(number: int, contact_id: str, **fields: object) -> ImportLine:
    return ImportLine(number, 50, contact_id, read_changes(fields))


def _use_case(audience: Audience) -> ImportContacts:
    return ImportContacts(
        contacts=audience.contacts,
        segments=audience.segments,
        imports=audience.imports,
        transactions=audience.transactions,
        clock=audience.clock,
        lease_seconds=20,
    )


async def _resume(audience: Audience, import_id: str, *chunks: Sequence[ImportLine]) -> ImportRecord:
    async def lines() -> AsyncIterator[ReadLines]:
        for size, chunk in enumerate(chunks, 1):
            if chunk == BREAK:
                raise ConnectionError("the upload broke off")
            yield chunk, size

    use_case = _use_case(audience)
    begun = await use_case.begin("acme", import_id, fingerprint="f", owner=new_id("own"))
    return await use_case.run(begun, lines())


async def _import(audience: Audience, *chunks: Sequence[ImportLine]) -> ImportResult:
    return (await _resume(audience, new_id("imp"), *chunks)).result


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


def _file(lines: int) -> list[ImportLine]:
    """Every tenth line is bad, every seventh names somebody again."""
    return [
        ImportLine(n, 50, problem="bad") if n % 10 == 0 else _line(n, f"c{n - n % 7}", telegramChatId=n)
        for n in range(1, lines + 1)
    ]


async def test_what_broke_off_goes_on_with_the_numbers_of_an_unbroken_import(audience: Audience) -> None:
    file = _file(2 * BATCH_LINES + 500)
    whole = await _import(audience, file)
    unbroken = dict(audience.contacts.rows)
    audience.contacts.rows.clear()
    with pytest.raises(ConnectionError):
        await _resume(audience, "i1", file[: BATCH_LINES + 100], BREAK)
    broken = await audience.imports.get("acme", "i1")
    assert (broken.status, broken.line) == ("interrupted", BATCH_LINES)
    rest = await _resume(audience, "i1", file)
    assert (rest.status, rest.line, rest.size) == ("completed", len(file), 1)
    assert rest.result == whole
    assert audience.contacts.rows == unbroken


async def test_a_completed_import_is_told_again_and_another_file_is_refused(audience: Audience) -> None:
    done = await _resume(audience, "i1", _file(20))
    use_case = _use_case(audience)
    assert await use_case.begin("acme", "i1", fingerprint="f", owner="o") == done
    with pytest.raises(ImportIdReused):
        await use_case.begin("acme", "i1", fingerprint="other", owner="o")


async def test_one_upload_at_a_time_until_its_time_has_run_out(audience: Audience) -> None:
    use_case = _use_case(audience)
    first = await use_case.begin("acme", "i1", fingerprint="f", owner="first")
    with pytest.raises(ImportRunning):
        await use_case.begin("acme", "i1", fingerprint="f", owner="second")
    audience.clock.advance(21)
    second = await use_case.begin("acme", "i1", fingerprint="f", owner="second")
    assert second.owner == "second"

    async def lines() -> AsyncIterator[ReadLines]:
        yield _file(20), 1

    with pytest.raises(ImportRunning):
        await use_case.run(first, lines())
    assert audience.contacts.rows == {}, "who lost the import stores nothing"


async def test_nobody_is_put_into_a_filter(audience: Audience) -> None:
    await _import(audience, [_line(1, "c1", telegramChatId=1, segments=["s1", "vip"])])
    audience.segments.rows["acme", "vip"] = {"tier": "gold"}
    result = await _import(
        audience,
        [
            _line(1, "c1", age=5, segments=["vip"]),
            _line(2, "c2", telegramChatId=2, segments=["s1", "vip"]),
            _line(3, "c3", telegramChatId=3, segments=["s1"]),
        ],
    )
    assert (result.imported, result.updated) == (1, 1)
    assert result.errors == [(2, "segments: vip is a filter: it finds its members by itself")]
