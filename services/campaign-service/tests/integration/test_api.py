"""The routes on a real database: the contract's shapes and numbers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from campaign_service.application.parts import ApiParts
from campaign_service.domain.campaign import Statistics
from motor.motor_asyncio import AsyncIOMotorDatabase
from service_kit.errors import DependencyDown

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
Create = Callable[..., Awaitable[str]]


async def test_a_campaign_is_created_and_shown_as_the_contract_says(
    api: httpx.AsyncClient, mongo_database: Database, black_friday: dict[str, Any]
) -> None:
    answer = await api.post("/campaigns", json=black_friday)
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["id"].startswith("camp_")
    assert data == {
        "id": data["id"],
        "name": "Black Friday Campaign",
        "status": "draft",
        "message": "Campaign created successfully",
    }
    shown = await api.get(f"/campaigns/{data['id']}")
    assert shown.status_code == 200 and shown.headers["ETag"] == '"1"'
    detail = shown.json()["data"]
    for field in ("name", "description", "type", "goals", "budget", "startDate"):
        assert detail[field] == black_friday[field]
    assert detail["endDate"] == "2124-11-30T23:59:59Z"
    assert '"budget":10000,' in shown.text and '"totalCost":0}' in shown.text
    assert detail["targetAudience"] == {
        "segments": ["seg789"],
        "filters": {"location": ["US"], "purchaseHistory": True},
        "excludeSegments": [],
        "totalCount": 0,
    }
    assert (detail["createdBy"], detail["status"], detail["failure"]) == ("editor-1", "draft", None)
    [message] = detail["messages"]
    assert message["id"].startswith("msg_") and message["variations"][0]["id"].startswith("var_")
    assert message["personalization"]["fields"] == ["firstName", "lastPurchase"]
    assert detail["workflow"]["triggers"] == ["manual", "scheduled"]
    assert detail["abTests"][0]["status"] == "draft"
    [row] = (await api.get("/campaigns")).json()["data"]["campaigns"]
    audience = row.pop("targetAudience")
    assert audience == {key: detail["targetAudience"][key] for key in audience}
    assert row == {key: detail[key] for key in row}
    assert set(detail) - set(row) == {"messages", "workflow", "abTests", "baseline", "targetAudience"}
    events = await mongo_database["outbox"].find({}).to_list(None)
    assert [(event["type"], event["key"], event["sequence"]) for event in events] == [
        ("campaign.created", data["id"], 1)
    ]


async def test_what_get_shows_can_be_posted_again(api: httpx.AsyncClient, create: Create) -> None:
    first = (await api.get(f"/campaigns/{await create()}")).json()["data"]
    again = await api.post("/campaigns", json=first)
    assert again.status_code == 201, again.text
    second = (await api.get(f"/campaigns/{again.json()['data']['id']}")).json()["data"]
    own = {"id", "createdAt", "updatedAt"}
    assert {k: v for k, v in first.items() if k not in own} == {
        k: v for k, v in second.items() if k not in own
    }


async def test_only_a_name_is_required(api: httpx.AsyncClient) -> None:
    answer = await api.post("/campaigns", json={"name": "Bare"})
    detail = (await api.get(f"/campaigns/{answer.json()['data']['id']}")).json()["data"]
    assert (detail["type"], detail["messages"], detail["goals"]) == ("message", [], None)


async def test_the_list_filters_sorts_searches_and_counts(api: httpx.AsyncClient, create: Create) -> None:
    for name in ("Alpha Sale", "Beta Sale", "Gamma"):
        await create(name=name)
    await create(name="Delta Sale", type="engagement")
    found = (await api.get("/campaigns?sort=-name&search=SAL&type=message&status=draft&limit=1")).json()
    assert [row["name"] for row in found["data"]["campaigns"]] == ["Beta Sale"]
    assert found["data"]["pagination"] == {"page": 1, "limit": 1, "total": 2, "pages": 2}
    newest = (await api.get("/campaigns")).json()["data"]
    assert newest["campaigns"][0]["name"] == "Delta Sale"
    assert newest["pagination"] == {"page": 1, "limit": 20, "total": 4, "pages": 1}
    assert (await api.get("/campaigns", params={"search": "!?"})).json()["data"]["pagination"]["total"] == 0
    assert (await api.get("/campaigns?page=9")).json()["data"]["campaigns"] == []


async def test_a_template_is_created_and_shown(api: httpx.AsyncClient) -> None:
    answer = await api.post("/templates", json={"name": "Hello", "content": "Hi {{firstName|there}}"})
    assert answer.status_code == 201
    data = answer.json()["data"]
    assert data["id"].startswith("tmpl_") and data["parseMode"] == "none"
    assert (await api.get(f"/templates/{data['id']}")).json()["data"] == data
    listed = (await api.get("/templates")).json()["data"]
    assert listed["templates"] == [data] and listed["pagination"]["total"] == 1


async def test_execute_starts_once_and_answers_as_the_contract_says(
    api: httpx.AsyncClient, create: Create
) -> None:
    campaign_id = await create()
    answers = await asyncio.gather(*(api.post(f"/campaigns/{campaign_id}/execute") for _ in range(2)))
    lost, won = sorted(answers, key=lambda answer: answer.status_code, reverse=True)
    assert (won.status_code, lost.status_code) == (200, 409)
    assert lost.json()["error"]["code"] == "EXECUTION_RUNNING"
    data = won.json()["data"]
    assert data["executionId"].startswith("exec_") and data["estimatedCompletion"].endswith("Z")
    assert (data["status"], data["message"]) == ("started", "Campaign execution started")
    shown = await api.get(f"/campaigns/{campaign_id}")
    assert shown.json()["data"]["status"] == "active" and shown.headers["ETag"] == '"2"'
    assert shown.json()["data"]["abTests"][0]["status"] == "running"


async def test_execute_names_what_is_wrong(
    api: httpx.AsyncClient, world: Any, parts: ApiParts, create: Create
) -> None:
    bare = (await api.post("/campaigns", json={"name": "Bare"})).json()["data"]["id"]
    answer = await api.post(f"/campaigns/{bare}/execute", json={})
    fields = [detail["field"] for detail in answer.json()["error"]["details"]]
    assert (answer.status_code, fields) == (422, ["messages", "targetAudience.segments"])
    campaign_id = await create()
    for field, body in [
        ("testMode", {"testMode": "yes"}),
        ("targetPercentage", {"targetPercentage": 0.5}),
        ("targetPercentage", {"targetPercentage": 101}),
        ("priority", {"priority": "urgent"}),
        ("scheduledAt", {"scheduledAt": "2024-11-24T10:00:00Z"}),
        ("scheduledAt", {"scheduledAt": "9999-12-31T23:59:59Z"}),
        ("dryRun", {"dryRun": "yes"}),
    ]:
        answer = await api.post(f"/campaigns/{campaign_id}/execute", json=body)
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, field)
    world.preflight.answer = DependencyDown()
    answer = await api.post(f"/campaigns/{campaign_id}/execute")
    assert answer.status_code == 503 and answer.headers["Retry-After"]
    stored = await parts.campaigns.get("acme", campaign_id)
    assert stored is not None and (stored.status, stored.version) == ("draft", 1)


async def test_a_finished_campaign_is_not_executed_again(
    api: httpx.AsyncClient, parts: ApiParts, create: Create
) -> None:
    campaign_id = await create()
    stored = await parts.campaigns.get("acme", campaign_id)
    assert stored is not None
    await parts.transactions.run(
        lambda tx: parts.campaigns.save(tx, replace(stored, status="completed"), expected_version=1)
    )
    answer = await api.post(f"/campaigns/{campaign_id}/execute")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "INVALID_TRANSITION")
    assert "from completed to active" in answer.json()["error"]["message"]


async def test_numbers_show_without_a_new_etag_or_time(
    api: httpx.AsyncClient, parts: ApiParts, create: Create
) -> None:
    campaign_id = await create()
    before = await api.get(f"/campaigns/{campaign_id}")
    numbers = Statistics(100, 45, 2, 4500, 225, 2250)
    await parts.campaigns.note_statistics("acme", campaign_id, statistics=numbers, revision=1)
    await parts.campaigns.note_audience("acme", campaign_id, total_count=8500, at=parts.clock.now())
    after = await api.get(f"/campaigns/{campaign_id}")
    assert after.headers["ETag"] == before.headers["ETag"]
    data = after.json()["data"]
    assert data["updatedAt"] == before.json()["data"]["updatedAt"]
    assert data["targetAudience"]["totalCount"] == 8500
    assert data["statistics"] == {
        "totalTasks": 100,
        "completedTasks": 45,
        "failedTasks": 2,
        "messagesSent": 4500,
        "conversionsAchieved": 225,
        "totalCost": 2250,
    }
