"""Events change campaigns on a real database: once, together with what they cause."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from campaign_service.application.parts import ApiParts, ConsumerParts
from campaign_service.application.start_campaign import StartCampaign, start_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.entrypoints.subscriptions import subscriptions
from contracts.catalogue import decode
from contracts.envelope import Envelope, new_event
from contracts.events.campaign import Failure, Totals
from contracts.events.execution import ExecutionCompleted, ExecutionPaused
from motor.motor_asyncio import AsyncIOMotorDatabase
from service_kit.errors import AlreadyHandled, ServiceError
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
New = Callable[..., Campaign]


async def add(parts: ApiParts, campaign: Campaign) -> None:
    async def work(tx: Tx) -> None:
        await parts.campaigns.add(tx, campaign)

    await parts.transactions.run(work)


def completed(parts: ConsumerParts, execution_id: str) -> Envelope[ExecutionCompleted]:
    data = ExecutionCompleted(
        campaign_id="camp_1",
        execution_id=execution_id,
        totals=Totals(targeted=3, successful=3, failed=0, skipped=0, unknown=0),
        completed_at=parts.clock.now(),
    )
    return new_event(data, source="execution-service", subject="camp_1", org="acme", time=parts.clock.now())


async def start(parts: ApiParts) -> str:
    started = await start_campaign(
        "acme",
        "camp_1",
        StartCampaign(),
        campaigns=parts.campaigns,
        templates=parts.templates,
        preflight=parts.preflight,
        transactions=parts.transactions,
        outbox=parts.outbox,
        clock=parts.clock,
    )
    return started.execution_id


async def test_of_many_starts_at_once_exactly_one_wins(
    parts: ApiParts, mongo_database: Database, new_campaign: New
) -> None:
    await add(parts, new_campaign())
    answers = await asyncio.gather(*(start(parts) for _ in range(8)), return_exceptions=True)
    won = [answer for answer in answers if isinstance(answer, str)]
    lost = [answer.code for answer in answers if isinstance(answer, ServiceError)]
    assert len(won) == 1 and lost == ["EXECUTION_RUNNING"] * 7
    rows = await mongo_database["outbox"].find({"type": "campaign.started"}).to_list(None)
    assert [row["sequence"] for row in rows] == [2]
    stored = await parts.campaigns.get("acme", "camp_1")
    assert stored is not None and stored.runs(won[0])


async def test_an_end_that_comes_twice_at_once_is_told_once(
    parts: ApiParts, consumer_parts: ConsumerParts, mongo_database: Database, new_campaign: New
) -> None:
    await add(parts, new_campaign())
    event = completed(consumer_parts, await start(parts))
    handle = subscriptions(consumer_parts)[ExecutionCompleted]
    answers = await asyncio.gather(handle(event), handle(event), return_exceptions=True)
    assert [type(answer) for answer in answers if answer is not None] == [AlreadyHandled]
    stored = await parts.campaigns.get("acme", "camp_1")
    assert stored is not None and (stored.status, stored.version) == ("completed", 3)
    rows = await mongo_database["outbox"].find({"type": "campaign.completed"}).to_list(None)
    assert [row["sequence"] for row in rows] == [3]


async def test_a_guard_rails_reason_is_shown_told_and_gone_with_the_resume(
    api: httpx.AsyncClient,
    parts: ApiParts,
    consumer_parts: ConsumerParts,
    mongo_database: Database,
    new_campaign: New,
) -> None:
    await add(parts, new_campaign())
    reason = {"code": "GUARD_CONTENT", "message": "The last 20 answers were all BAD_REQUEST"}
    now = parts.clock.now()
    data = ExecutionPaused(
        campaign_id="camp_1", execution_id=await start(parts), reason=Failure(**reason), followed=2, paused_at=now
    )  # fmt: skip
    event = new_event(data, source="execution-service", subject="camp_1", org="acme", time=now)
    handle = subscriptions(consumer_parts)[ExecutionPaused]
    answers = await asyncio.gather(handle(event), handle(event), return_exceptions=True)
    assert [type(answer) for answer in answers if answer is not None] == [AlreadyHandled]
    shown = (await api.get("/campaigns/camp_1")).json()["data"]
    assert (shown["status"], shown["pauseReason"]) == ("paused", reason)
    rows = await mongo_database["outbox"].find({"type": "campaign.paused"}).to_list(None)
    assert [decode(bytes(row["value"])).data.public()["reason"] for row in rows] == [reason]
    same = await api.put("/campaigns/camp_1", json={"name": shown["name"], "pauseReason": None})
    assert same.json()["data"]["pauseReason"] == reason, "read only"
    assert (await api.post("/campaigns/camp_1/resume")).status_code == 200
    shown = (await api.get("/campaigns/camp_1")).json()["data"]
    assert (shown["status"], shown["pauseReason"]) == ("active", None)
