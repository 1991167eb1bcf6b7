"""Who could not be reached is not written to again, until something says that they can be."""

from typing import Any

import httpx
import pytest
from contracts.events.campaign import Retry
from contracts.ids import new_id
from execution_service.application.note_reach import NoteReach
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration


async def ran(engine: Any, **options: Any) -> str:
    execution_id: str = await engine.planned(**options)
    await engine.ended(execution_id)
    return execution_id


async def errors(engine: Any, execution_id: str) -> dict[str, int]:
    return dict((await engine.wiring.shards.sums(execution_id)).errors)


async def test_who_could_not_be_reached_is_skipped_by_the_next_campaign_and_tried_by_a_retry(
    engine: Any, api: httpx.AsyncClient
) -> None:
    await engine.contacts(range(1, 11))
    await engine.contacts([11], opted_out=True)
    campaign_id = new_id("camp")

    async def suppressed() -> dict[str, int]:
        shown = await api.get(f"/campaigns/{campaign_id}/audience")
        data = shown.json()["data"]
        assert (data["totalCount"], data["bySegment"]) == (11, {"seg": 11})
        return data["suppressed"]  # type: ignore[no-any-return]

    engine.telegram.configure(blocked_chats=[3, 4, 11], not_found_chats=[5])
    async with engine.working():
        first = await ran(engine, campaign_id=campaign_id)
        assert await errors(engine, first) == {"USER_BLOCKED": 2, "CHAT_NOT_FOUND": 1, "OPTED_OUT": 1}
        told = {"OPTED_OUT": 1, "BLOCKED": 2, "NO_CHAT": 1}
        await eventually(suppressed, lambda found: found == told)
        sent = engine.deliveries()
        assert await errors(engine, await ran(engine)) == told
        assert not {3, 4, 5, 11} & set(engine.deliveries() - sent)

        engine.telegram.configure(blocked_chats=[4])
        retry = Retry(of=first, statuses=["failed", "skipped"])
        again = await ran(engine, campaign_id=campaign_id, retry=retry)
        assert await errors(engine, again) == {"USER_BLOCKED": 1, "OPTED_OUT": 1}
        await eventually(suppressed, lambda found: found == {"OPTED_OUT": 1, "BLOCKED": 1})

        cleared = await api.put(
            "/contacts/con_000004", json={"unreachable": None}, headers=engine.bearer("editor")
        )
        assert cleared.json()["data"]["unreachable"] is None
        assert await suppressed() == {"OPTED_OUT": 1}
        await api.delete("/contacts/con_000003", headers=engine.bearer("admin"))
        assert await engine.wiring.contacts.get("acme", "con_000003") is None


async def test_a_worker_that_dies_before_the_note_costs_one_more_attempt_and_nothing_else(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def died(*_: Any) -> None:
        return None

    await engine.contacts(range(1, 4))
    engine.telegram.configure(blocked_chats=[2])
    async with engine.working():
        with monkeypatch.context() as dying:
            dying.setattr(NoteReach, "__call__", died)
            assert await errors(engine, await ran(engine)) == {"USER_BLOCKED": 1}
        again = await ran(engine)
    assert await errors(engine, again) == {"USER_BLOCKED": 1}
    noted = await engine.wiring.contacts.by_ids("acme", ["con_000001", "con_000002"])
    assert {name: row.unreachable for name, row in noted.items()} == {
        "con_000001": None, "con_000002": "BLOCKED"
    }  # fmt: skip
