"""GET /campaigns/:id/progress and /recipients."""

import asyncio
from typing import Any

import httpx
import pytest
from contracts.ids import new_id
from execution_service.adapters.mongo_executions import MongoExecutions
from execution_service.application.note_campaign import note_campaign
from execution_service.bootstrap_engine import make_planner

pytestmark = pytest.mark.integration


async def note_created(engine: Any, campaign_id: str) -> None:
    await note_campaign(
        engine.started(campaign_id=campaign_id),
        campaigns=engine.wiring.campaigns,
        marks=engine.wiring.marks,
        inbox=await engine.wiring.inbox("test"),
        transactions=engine.wiring.transactions,
    )


async def test_progress_adds_up_at_every_read_and_ends_with_the_ledger(
    engine: Any, api: httpx.AsyncClient
) -> None:
    engine.telegram.configure(blocked_chats=[3, 4])
    await engine.contacts(range(1, 301))
    await engine.contacts(range(301, 305), opted_out=True)
    event = engine.started()
    execution_id = await engine.accept(event)
    path = f"/campaigns/{event.data.campaign_id}"
    seen = []
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        while not seen or seen[-1]["status"] == "running":
            data = (await api.get(f"{path}/progress")).json()["data"]
            numbers = data["progress"]
            outcomes = [numbers[name] for name in ("successful", "failed", "skipped", "unknown")]
            assert numbers["processed"] == sum(outcomes)
            assert numbers["total"] == numbers["processed"] + numbers["pending"] == 304
            seen.append(data)
            assert len(seen) < 1_000
            await asyncio.sleep(0.02)
    last = seen[-1]
    assert (last["status"], last["executionId"], last["testMode"]) == ("completed", execution_id, False)
    assert last["progress"] == {
        "percentage": 100, "processed": 304, "total": 304, "successful": 298, "failed": 2, "skipped": 4,
        "unknown": 0, "pending": 0,
    }  # fmt: skip
    assert last["errors"] == [
        {"code": "OPTED_OUT", "count": 4, "message": "Contact has opted out"},
        {"code": "USER_BLOCKED", "count": 2, "message": "User has blocked the bot"},
    ]
    assert any(data["currentRate"] > 0 for data in seen[:-1])
    percentages = [data["progress"]["percentage"] for data in seen]
    assert percentages == sorted(percentages)

    rows, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        params = {"limit": "100", **({"cursor": cursor} if cursor else {})}
        page = (await api.get(f"{path}/recipients", params=params)).json()["data"]
        rows += page["recipients"]
        cursor, pages = page["nextCursor"], pages + 1
        if pages == 1:
            assert page["counts"] == {"successful": 298, "failed": 2, "skipped": 4, "unknown": 0}
    assert pages == 4
    assert len({row["contactId"] for row in rows}) == len(rows) == 304
    blocked = (await api.get(f"{path}/recipients?status=failed&errorCode=USER_BLOCKED")).json()["data"]
    assert sorted(row["contactId"] for row in blocked["recipients"]) == ["con_000003", "con_000004"]
    assert (await api.get(f"{path}/recipients?errorCode=NONE")).json()["data"]["recipients"] == []


async def test_a_campaign_that_was_not_executed_is_idle(engine: Any, api: httpx.AsyncClient) -> None:
    campaign_id = new_id("camp")
    await note_created(engine, campaign_id)
    data = (await api.get(f"/campaigns/{campaign_id}/progress")).json()["data"]
    assert (data["status"], data["executionId"], data["progress"]["total"]) == ("idle", None, 0)
    recipients = (await api.get(f"/campaigns/{campaign_id}/recipients")).json()["data"]
    assert (recipients["recipients"], recipients["nextCursor"]) == ([], None)


async def test_a_campaign_that_was_created_just_now_is_waited_for(
    engine: Any, api: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign_id, looked, latest = new_id("camp"), asyncio.Event(), MongoExecutions.latest

    async def look(*args: Any, **kwargs: Any) -> Any:
        answer = await latest(*args, **kwargs)
        looked.set()
        return answer

    monkeypatch.setattr(MongoExecutions, "latest", look)
    asked = asyncio.create_task(api.get(f"/campaigns/{campaign_id}/progress"))
    await looked.wait()
    await note_created(engine, campaign_id)
    assert (await asked).status_code == 200


async def test_what_is_not_there_or_not_ours_is_not_found(engine: Any, api: httpx.AsyncClient) -> None:
    campaign_id = "camp_01J0000000000000000000000A"  # not young, so nothing is waited for
    execution_id = await engine.accept(engine.started(campaign_id=campaign_id))
    other = engine.bearer(org="other")
    for path, headers, status in (
        (f"/campaigns/{campaign_id}/progress", other, 404),
        (f"/campaigns/{campaign_id}/progress?executionId={execution_id}", other, 404),
        (f"/campaigns/{campaign_id}/recipients", other, 404),
        (f"/campaigns/{campaign_id}/progress?executionId=exec_none", {}, 404),
        ("/campaigns/camp123/progress", {}, 404),
        ("/campaigns/camp123/recipients", {}, 404),
        (f"/campaigns/{campaign_id}/progress", {"Authorization": ""}, 401),
        (f"/campaigns/{campaign_id}/recipients?status=sent", {}, 400),
        (f"/campaigns/{campaign_id}/recipients?limit=0", {}, 400),
        (f"/campaigns/{campaign_id}/recipients?cursor=a.b", {}, 400),
        (f"/campaigns/{campaign_id}/progress?executionId={execution_id}", {}, 200),
    ):
        answer = await api.get(path, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["success"] == (status == 200)
