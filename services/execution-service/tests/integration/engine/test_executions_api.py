"""GET /campaigns/:id/executions, and progress as a stream."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from contracts.events.campaign import CampaignCancelled
from contracts.ids import new_id
from execution_service.bootstrap_engine import make_planner

pytestmark = pytest.mark.integration


def events(body: str) -> list[dict[str, Any]]:
    blocks = [block for block in body.split("\n\n") if block and not block.startswith(":")]
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: "))["data"] for block in blocks]


async def test_runs_are_listed_newest_first_page_by_page(engine: Any, api: httpx.AsyncClient) -> None:
    engine.telegram.configure(blocked_chats=[3])
    await engine.contacts(range(1, 61))
    first = engine.started()
    campaign_id = first.data.campaign_id
    ids = [await engine.accept(first)]
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(ids[0])
    for _ in range(2):
        ids.append(await engine.accept(engine.started(campaign_id=campaign_id, test_mode=True)))
    await engine.steer(CampaignCancelled, first, status="cancelled")

    path = f"/campaigns/{campaign_id}/executions"
    page = (await api.get(path, params={"limit": 2})).json()["data"]
    rest = (await api.get(path, params={"limit": 2, "cursor": page["nextCursor"]})).json()["data"]
    rows = page["executions"] + rest["executions"]
    assert [row["executionId"] for row in rows] == ids[::-1]
    assert (len(page["executions"]), rest["nextCursor"]) == (2, None)
    assert [(row["status"], row["testMode"], row["targeted"]) for row in rows] == [
        ("cancelled", True, 0), ("cancelled", True, 0), ("completed", False, 60),
    ]  # fmt: skip
    counts = {name: rows[-1][name] for name in ("successful", "failed", "skipped", "unknown", "pending")}
    assert counts == {"successful": 59, "failed": 1, "skipped": 0, "unknown": 0, "pending": 0}
    assert rows[-1]["retryOf"] is None and rows[-1]["finishedAt"] > rows[-1]["startedAt"]

    assert (await api.get(path, headers=engine.bearer(org="other"))).status_code == 404
    assert (await api.get(path, params={"limit": 0})).status_code == 400


async def test_a_campaign_without_runs_has_an_empty_list(engine: Any, api: httpx.AsyncClient) -> None:
    event = engine.started()
    await engine.wiring.campaigns.prepare()
    await engine.accept(event)
    await engine.database["executions"].delete_many({})
    page = (await api.get(f"/campaigns/{event.data.campaign_id}/executions")).json()["data"]
    assert page == {"executions": [], "nextCursor": None}


async def test_a_stream_tells_the_progress_until_the_execution_has_ended(
    engine: Any, api: httpx.AsyncClient
) -> None:
    await engine.contacts(range(1, 301))
    event = engine.started()
    execution_id = await engine.accept(event)
    path = f"/campaigns/{event.data.campaign_id}/progress"
    streams = [asyncio.create_task(api.get(f"{path}/stream", timeout=60)) for _ in range(3)]
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
        for answer in await asyncio.gather(*streams):
            assert answer.headers["content-type"].startswith("text/event-stream")
            told = events(answer.text)
            assert [row["status"] for row in told[-1:]] == ["completed"]
            assert {row["status"] for row in told[:-1]} == {"running"}
    last = (await api.get(path)).json()["data"]
    assert told[-1] == last
    # Of what has ended already there is one event.
    ended = await api.get(f"{path}/stream", params={"executionId": execution_id})
    assert events(ended.text) == [last]


async def test_a_stream_ends_with_its_token(engine: Any, api: httpx.AsyncClient) -> None:
    event = engine.started()
    await engine.accept(event)
    path = f"/campaigns/{event.data.campaign_id}/progress/stream"
    answer = await api.get(path, headers=engine.bearer(seconds=2), timeout=30)
    assert [row["status"] for row in events(answer.text)] == ["running"]


async def test_a_stream_of_what_is_not_there_or_not_ours_is_not_found(
    engine: Any, api: httpx.AsyncClient
) -> None:
    event = engine.started(campaign_id="camp_01J0000000000000000000000A")
    await engine.accept(event)
    path = f"/campaigns/{event.data.campaign_id}/progress/stream"
    for answer in (
        await api.get(path, headers=engine.bearer(org="other")),
        await api.get(path, params={"executionId": new_id("exec")}),
        await api.get("/campaigns/camp123/progress/stream"),
    ):
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
