"""Pages of a large ledger: each row once, and what a page reads does not grow with the ledger."""

import os
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.ids import new_id
from execution_service.adapters.ledger_packing import pack_contacts, pack_outcomes
from execution_service.adapters.mongo_ledger_pages import MongoLedgerPages
from execution_service.domain.outcomes import Final
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import monitoring

pytestmark = pytest.mark.integration

SHARD, WINDOW = 500, 100
SHARDS = int(os.environ.get("LEDGER_SHARDS", "240"))
"""2000 of them are a million recipients."""
SINCE = datetime(2026, 6, 1, tzinfo=UTC)
RARE = {(3, 17): "USER_BLOCKED", (SHARDS - 7, 321): "USER_BLOCKED", (SHARDS - 1, 499): "CHAT_NOT_FOUND"}
"""Shard and position of the only ones that failed."""


def outcome(shard: int, position: int) -> Final:
    code = RARE.get((shard, position))
    at = SINCE + timedelta(milliseconds=position)
    return Final(position, "failed" if code else "successful", at, code, None, None if code else position + 1)


def window_row(execution_id: str, shard: int, number: int) -> dict[str, Any]:
    finals = [outcome(shard, number * WINDOW + place) for place in range(WINDOW)]
    counts = Counter(final.status for final in finals)
    return {
        "_id": f"{execution_id}:{shard}:{number}", "executionId": execution_id, "shard": shard,
        "window": number, "step": 0, "message": "msg0", "epoch": 1, "state": "recorded", "intentAt": SINCE,
        "recordedAt": SINCE, "recordedBy": 1, "outcomes": pack_outcomes(finals, since=SINCE),
        "counts": dict(counts), "statuses": sorted(counts), "sent": WINDOW,
        "codes": sorted({final.code for final in finals if final.code}),
    }  # fmt: skip


def shard_row(execution_id: str, shard: int) -> dict[str, Any]:
    codes = Counter(code for (number, _), code in RARE.items() if number == shard)
    return {
        "_id": f"{execution_id}:{shard}", "executionId": execution_id, "no": shard, "size": SHARD, "steps": 1,
        "window": SHARD // WINDOW, "state": "done", "errors": dict(codes),
        "counts": {"successful": SHARD - codes.total(), "failed": codes.total()},
    }  # fmt: skip


async def large_ledger(engine: Any) -> str:
    """An execution whose ledger is as a run to `SHARDS` shards leaves it."""
    execution_id, database = new_id("exec"), engine.database
    for first in range(0, SHARDS, 40):
        numbers = range(first, min(first + 40, SHARDS))
        await database["shards"].insert_many([shard_row(execution_id, number) for number in numbers])
        people = [
            {
                "_id": f"{execution_id}:{number}",
                "contacts": pack_contacts([f"con_{number}_{place}" for place in range(SHARD)]),
            }
            for number in numbers
        ]
        await database["shard_contacts"].insert_many(people)
        rows = [
            window_row(execution_id, number, window)
            for number in numbers
            for window in range(SHARD // WINDOW)
        ]
        await database["windows"].insert_many(rows)
    return execution_id


class Commands(monitoring.CommandListener):
    """How many commands, and documents in their answers."""

    def __init__(self) -> None:
        self.commands = self.documents = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.commands += event.command_name in ("find", "getMore", "aggregate")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        cursor = event.reply.get("cursor", {})
        self.documents += len(cursor.get("firstBatch", cursor.get("nextBatch", [])))

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        raise AssertionError(event.failure)


async def test_a_page_is_read_from_few_documents_wherever_it_lies(engine: Any, mongo_url: str) -> None:
    execution_id = await large_ledger(engine)
    heard = Commands()
    client: Any = AsyncIOMotorClient(mongo_url, event_listeners=[heard], tz_aware=True)
    pages = MongoLedgerPages(client[engine.database.name])

    async def page(status: Any, code: str | None, cursor: str | None) -> tuple[Any, int, float]:
        before, began = heard.documents, time.perf_counter()
        found = await pages.page(execution_id, status=status, code=code, limit=100, cursor=cursor)
        return found, heard.documents - before, time.perf_counter() - began

    await page(None, None, None)
    for name, cursor in (("first", None), ("middle", f"{SHARDS // 2}.2.50"), ("last", f"{SHARDS - 1}.4.0")):
        found, documents, seconds = await page(None, None, cursor)
        print(f"{name} page: {documents} documents, {1000 * seconds:.1f} ms")
        assert len(found.rows) == 100 and documents <= 100 + 3 * (SHARD // WINDOW)
    for status, code in (("failed", None), ("failed", "CHAT_NOT_FOUND"), (None, "USER_BLOCKED")):
        found, documents, seconds = await page(status, code, None)
        print(f"{status} {code}: {documents} documents, {1000 * seconds:.1f} ms")
        expected = [place for place, which in RARE.items() if code in (None, which)]
        assert [row.contact_id for row in found.rows] == [f"con_{shard}_{place}" for shard, place in expected]
        # The shards' outlines, and of shards with such rows the contacts and the windows.
        assert documents <= SHARDS + (1 + SHARD // WINDOW) * len(expected)
    nothing, documents, _ = await page("successful", "USER_BLOCKED", None)
    assert (nothing.rows, nothing.next_cursor, documents) == ([], None, 0)
    client.close()


async def test_pages_have_every_row_once_in_order(engine: Any) -> None:
    execution_id = await large_ledger(engine)
    seen: list[str] = []
    cursor = f"{SHARDS - 5}.0.0"
    while cursor:
        page = await engine.wiring.pages.page(execution_id, status=None, code=None, limit=333, cursor=cursor)
        seen += [row.contact_id for row in page.rows]
        cursor = page.next_cursor
    assert seen == [f"con_{number}_{place}" for number in range(SHARDS - 5, SHARDS) for place in range(SHARD)]


@pytest.mark.parametrize("cursor", ["", "1", "1.2", "1.2.3.4", "a.b.c", "-1.0.0", f"{2**40}.0.0"])
async def test_a_cursor_that_this_list_did_not_give_is_refused(engine: Any, cursor: str) -> None:
    with pytest.raises(ValueError):
        await engine.wiring.pages.page("exec_1", status=None, code=None, limit=10, cursor=cursor)
