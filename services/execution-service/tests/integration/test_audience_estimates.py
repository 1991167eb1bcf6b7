"""The part that keeps audiences counted, as the planner process runs it."""

import asyncio

import httpx
import pytest
from contracts.catalogue import decode
from contracts.events.campaign import AudienceDefinition
from execution_service.application.ports import KnownCampaign
from execution_service.bootstrap import Wiring, estimate_part, fold_part
from service_kit.ports import Tx
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration


async def _told(wiring: Wiring) -> list[tuple[str, str, int]]:
    """(org, campaign, count) of every event that waits in the outbox, oldest first."""
    rows = await wiring.database["outbox"].find({"type": "audience.estimated"}).sort("_id", 1).to_list(None)
    events = [decode(bytes(row["value"])) for row in rows]
    return [(event.orgid, event.data.campaign_id, event.data.total_count) for event in events]


async def test_counts_follow_campaigns_puts_and_imports(api: httpx.AsyncClient, wiring: Wiring) -> None:
    async def note(tx: Tx) -> None:
        campaign = KnownCampaign(
            "camp_1", "acme", "Sale", "draft", 1, AudienceDefinition(segments=["s1", "s2"])
        )
        await wiring.campaigns.note(tx, campaign)
        await wiring.marks.add(tx, "acme")

    async def told() -> list[tuple[str, str, int]]:
        return await _told(wiring)

    loops = [asyncio.create_task(part(wiring, process="test")()) for part in (fold_part, estimate_part)]
    try:
        await wiring.transactions.run(note)
        await eventually(told, lambda events: len(events) == 1)
        await api.put("/api/v1/contacts/c1", json={"telegramChatId": 1, "segments": ["s1", "s2"]})
        await eventually(told, lambda events: len(events) == 2)
        lines = b"id,telegramChatId,segments\nc1,1,s1\nc2,2,s2\nc3,3,s3\n"
        await api.post("/api/v1/contacts/import", content=lines, headers={"Content-Type": "text/csv"})
        await eventually(told, lambda events: len(events) == 3)
        assert await _told(wiring) == [("acme", "camp_1", count) for count in (0, 1, 2)]
        await eventually(lambda: wiring.marks.read(1), lambda left: left == [])
    finally:
        for loop in loops:
            loop.cancel()
        await asyncio.gather(*loops, return_exceptions=True)
