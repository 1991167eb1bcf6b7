"""The routes that change campaigns, on a real database: updates, commands, clones, and their races."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from campaign_service.application.parts import ApiParts
from campaign_service.domain.campaign import Statistics
from motor.motor_asyncio import AsyncIOMotorDatabase

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
Create = Callable[..., Awaitable[str]]


async def shown(api: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
    answer = await api.get(f"/campaigns/{campaign_id}")
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


async def events(database: Database, campaign_id: str) -> list[tuple[str, int]]:
    rows = database["outbox"].find({"key": campaign_id}).sort([("sequence", 1), ("_id", 1)])
    return [(row["type"], row["sequence"]) async for row in rows]


async def test_what_get_shows_can_be_edited_and_put_back(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    before = await shown(api, campaign_id)
    same = await api.put(f"/campaigns/{campaign_id}", json=before)
    assert (same.status_code, same.headers["ETag"]) == (200, '"1"'), same.text
    assert same.json()["data"] == before | {"message": "Campaign updated successfully"}
    after = await api.put(f"/campaigns/{campaign_id}", json=before | {"name": "Edited"})
    assert (after.status_code, after.headers["ETag"]) == (200, '"2"')
    expected = before | {"name": "Edited", "updatedAt": after.json()["data"]["updatedAt"]}
    assert await shown(api, campaign_id) == expected
    assert await events(mongo_database, campaign_id) == [("campaign.created", 1), ("campaign.updated", 2)]


async def test_a_put_is_a_merge_patch(api: httpx.AsyncClient, create: Create) -> None:
    campaign_id = await create()
    patch = {
        "description": None,
        "goals": {"revenue": None, "targetAudience": 5},
        "targetAudience": {"filters": {"location": None, "tier": {"min": 2}}},
        "messages": [{"content": "Only this"}],
        "strategy": None,
    }
    answer = await api.put(f"/campaigns/{campaign_id}", json=patch)
    assert answer.status_code == 200, answer.text
    data = await shown(api, campaign_id)
    assert (data["description"], data["strategy"]) == (None, None)
    assert data["goals"] == {"targetAudience": 5, "conversionRate": 10, "revenue": None}
    audience = data["targetAudience"]
    assert audience["filters"] == {"purchaseHistory": True, "tier": {"min": 2}}
    assert audience["segments"] == ["seg789"]
    [message] = data["messages"]
    assert (message["content"], message["variations"]) == ("Only this", [])


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"name": None}, "name"),
        ({"budget": -1}, "budget"),
        ({"startDate": "2124-12-24T00:00:00Z"}, "endDate"),
        ({"unknown": 1}, "unknown"),
        ({"goals": {"clicks": 1}}, "goals.clicks"),
        ({"unknown": None}, "unknown"),
        ({"goals": {"clicks": None}}, "goals.clicks"),
        ({"status": "running"}, "status"),
        ([], "body"),
        ("name", "body"),
    ],
)
async def test_a_patch_whose_result_breaks_a_rule_stores_nothing(
    api: httpx.AsyncClient, create: Create, patch: Any, field: str
) -> None:
    campaign_id = await create()
    before = await shown(api, campaign_id)
    answer = await api.put(f"/campaigns/{campaign_id}", json=patch)
    assert answer.status_code == 422, answer.text
    assert field in [detail["field"] for detail in answer.json()["error"]["details"]]
    assert await shown(api, campaign_id) == before


async def test_a_definition_that_grows_over_the_limit_by_patches_is_413(
    api: httpx.AsyncClient, create: Create
) -> None:
    campaign_id = await create()
    variation = {"content": "🌞" * 2000, "weight": 1}
    message = {"content": "x", "variations": [variation] * 3}
    assert (await api.put(f"/campaigns/{campaign_id}", json={"messages": [message] * 20})).status_code == 200
    answer = await api.put(
        f"/campaigns/{campaign_id}",
        json={"targetAudience": {"filters": {f"a{n}": ["x" * 200] * 10 for n in range(50)}}},
    )
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_if_match_lets_one_of_many_writers_win(api: httpx.AsyncClient, create: Create) -> None:
    campaign_id = await create()
    writes = (
        api.put(f"/campaigns/{campaign_id}", json={"name": f"Writer {n}"}, headers={"If-Match": '"1"'})
        for n in range(20)
    )
    answers = await asyncio.gather(*writes)
    assert Counter(answer.status_code for answer in answers) == {200: 1, 412: 19}
    [won] = [answer for answer in answers if answer.status_code == 200]
    data = await shown(api, campaign_id)
    assert data["name"] == won.json()["data"]["name"] and won.headers["ETag"] == '"2"'
    for tag, status in [
        ('"1", "2"', 200),
        ("*", 200),
        ('W/"2"', 412),
        ('"x"', 412),
        ("2", 400),
        ('"2" "3"', 400),
        ("", 412),
        (',"3",', 412),
        (', "2"', 200),
        ('"a,b", "2"', 200),
        ('"2', 400),
    ]:
        headers = {"If-Match": tag}
        answer = await api.put(f"/campaigns/{campaign_id}", json={}, headers=headers)
        assert answer.status_code == status, (tag, answer.text)
        if status == 400:
            assert answer.json()["error"]["details"][0]["field"] == "If-Match"


async def test_writers_without_if_match_all_get_through_one_after_the_other(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    fields = ({"name": "New"}, {"description": "New"}, {"budget": 7}, {"goals": {"revenue": 3}})
    answers = await asyncio.gather(*(api.put(f"/campaigns/{campaign_id}", json=patch) for patch in fields))
    assert [answer.status_code for answer in answers] == [200] * 4
    data = await shown(api, campaign_id)
    assert (data["name"], data["description"], data["budget"], data["goals"]["revenue"]) == (
        "New",
        "New",
        7,
        3,
    )
    assert [number for _, number in await events(mongo_database, campaign_id)] == [1, 2, 3, 4, 5]


async def test_pause_resume_and_cancel_answer_as_the_contract_says(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    refused = await api.post(f"/campaigns/{campaign_id}/pause")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "INVALID_TRANSITION")
    assert "from draft to paused" in refused.json()["error"]["message"]
    await api.post(f"/campaigns/{campaign_id}/execute")
    for command, status, message, stamp in [
        ("pause", "paused", "Campaign paused successfully", "pausedAt"),
        ("resume", "active", "Campaign resumed successfully", "resumedAt"),
        ("cancel", "cancelled", "Campaign cancelled successfully", "cancelledAt"),
    ]:
        data = (await api.post(f"/campaigns/{campaign_id}/{command}")).json()["data"]
        assert data == {"status": status, "message": message, stamp: data[stamp]}
        assert data[stamp].endswith("Z")
        current = await shown(api, campaign_id)
        assert (current["status"], current["updatedAt"]) == (status, data[stamp])
    assert [name for name, _ in await events(mongo_database, campaign_id)] == [
        "campaign.created", "campaign.started", "campaign.paused", "campaign.resumed", "campaign.cancelled"
    ]  # fmt: skip


async def test_a_schedule_shows_until_it_is_cancelled(api: httpx.AsyncClient, create: Create) -> None:
    campaign_id = await create(endDate="2126-01-01T00:00:00Z")
    at = "2125-03-01T10:00:00.5+02:00"
    answer = await api.post(f"/campaigns/{campaign_id}/execute", json={"scheduledAt": at, "priority": "high"})
    data = answer.json()["data"]
    assert (data["status"], data["message"]) == ("scheduled", "Campaign execution scheduled")
    assert data["executionId"].startswith("exec_") and data["scheduledAt"] == "2125-03-01T08:00:00.500Z"
    assert data["estimatedCompletion"] == "2125-03-01T08:00:10.500Z"
    current = await shown(api, campaign_id)
    assert (current["status"], current["scheduledAt"]) == ("active", "2125-03-01T08:00:00.500Z")
    again = await api.post(f"/campaigns/{campaign_id}/execute")
    assert (again.status_code, again.json()["error"]["code"]) == (409, "EXECUTION_RUNNING")
    late = await api.put(f"/campaigns/{campaign_id}", json={"endDate": "2125-02-01T00:00:00Z"})
    assert (late.status_code, late.json()["error"]["details"][0]["field"]) == (422, "endDate")
    await api.post(f"/campaigns/{campaign_id}/cancel")
    assert (await shown(api, campaign_id))["scheduledAt"] is None


async def test_a_dry_run_answers_what_an_execution_would_meet(
    api: httpx.AsyncClient, world: Any, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    answer = await api.post(f"/campaigns/{campaign_id}/execute", json={"dryRun": True})
    assert answer.json() == {
        "success": True,
        "data": {
            "dryRun": True,
            "totalCount": 100,
            "suppressed": {"OPTED_OUT": 20, "MISSING_FIELD": 5},
            "estimatedDurationSeconds": 8,
            "estimatedCost": 0.75,
        },
    }
    assert (await shown(api, campaign_id))["status"] == "draft"
    assert len(await events(mongo_database, campaign_id)) == 1
    assert world.preflight.asked[0].filters == {"location": ["US"], "purchaseHistory": True}


async def test_of_fifty_executes_at_once_one_wins(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    answers = await asyncio.gather(*(api.post(f"/campaigns/{campaign_id}/execute") for _ in range(50)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 409} == {"EXECUTION_RUNNING"}
    assert await events(mongo_database, campaign_id) == [("campaign.created", 1), ("campaign.started", 2)]


async def test_of_fifty_executes_with_one_key_all_are_the_same_or_told_to_wait(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    key = {"Idempotency-Key": "3f2b7c1e"}
    answers = await asyncio.gather(
        *(api.post(f"/campaigns/{campaign_id}/execute", headers=key) for _ in range(50))
    )
    fine = [answer for answer in answers if answer.status_code == 200]
    assert fine and {answer.content for answer in fine} == {fine[0].content}
    assert {a.json()["error"]["code"] for a in answers if a.status_code != 200} <= {
        "IDEMPOTENCY_KEY_IN_FLIGHT"
    }
    assert sum("Idempotency-Replayed" not in answer.headers for answer in fine) == 1
    again = await api.post(f"/campaigns/{campaign_id}/execute", headers=key)
    assert (again.status_code, again.content) == (200, fine[0].content)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await api.post(f"/campaigns/{campaign_id}/execute", json={"priority": "low"}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert await events(mongo_database, campaign_id) == [("campaign.created", 1), ("campaign.started", 2)]


@pytest.mark.parametrize("path", ["/campaigns", "/templates", "/campaigns/{id}/clone"])
async def test_a_repeated_create_makes_one(
    api: httpx.AsyncClient, mongo_database: Database, create: Create, path: str
) -> None:
    target = path.replace("{id}", await create())
    body = {"name": "Once", "content": "x"} if path == "/templates" else {"name": "Once"}
    key = {"Idempotency-Key": "one-and-the-same"}
    first, second = [await api.post(target, json=body, headers=key) for _ in range(2)]
    assert first.status_code == second.status_code == 201, first.text
    assert first.content == second.content and first.headers["ETag"] == second.headers["ETag"]
    collection = "templates" if path == "/templates" else "campaigns"
    assert await mongo_database[collection].count_documents({"name": "Once"}) == 1


async def test_a_key_is_free_again_after_a_refusal(api: httpx.AsyncClient, create: Create) -> None:
    campaign_id, key = await create(messages=[]), {"Idempotency-Key": "mended"}
    refused = await api.post(f"/campaigns/{campaign_id}/execute", headers=key)
    assert refused.status_code == 422 and refused.json()["error"]["details"][0]["field"] == "messages"
    await api.put(f"/campaigns/{campaign_id}", json={"messages": [{"content": "Hello"}]})
    assert (await api.post(f"/campaigns/{campaign_id}/execute", headers=key)).status_code == 200


async def test_only_drafts_and_cancelled_ones_can_be_deleted(
    api: httpx.AsyncClient, mongo_database: Database, create: Create
) -> None:
    campaign_id = await create()
    await api.post(f"/campaigns/{campaign_id}/execute")
    refused = await api.delete(f"/campaigns/{campaign_id}")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "INVALID_TRANSITION")
    await api.post(f"/campaigns/{campaign_id}/cancel")
    assert (await api.delete(f"/campaigns/{campaign_id}", headers={"If-Match": '"1"'})).status_code == 412
    answer = await api.delete(f"/campaigns/{campaign_id}", headers={"If-Match": '"3"'})
    assert answer.json() == {"success": True, "data": {"message": "Campaign deleted successfully"}}
    assert (await api.get(f"/campaigns/{campaign_id}")).status_code == 404
    assert (await api.delete(f"/campaigns/{campaign_id}")).status_code == 404
    assert (await events(mongo_database, campaign_id))[-1] == ("campaign.deleted", 4)


async def test_a_clone_is_a_draft_of_its_own(api: httpx.AsyncClient, parts: ApiParts, create: Create) -> None:
    campaign_id = await create()
    await api.post(f"/campaigns/{campaign_id}/execute")
    numbers = Statistics(100, 45, 2, 4500, 225, 2250)
    await parts.campaigns.note_statistics("acme", campaign_id, statistics=numbers, revision=1)
    answer = await api.post(f"/campaigns/{campaign_id}/clone")
    data = answer.json()["data"]
    assert answer.status_code == 201 and data == {
        "id": data["id"],
        "name": "Black Friday Campaign (Copy)",
        "status": "draft",
        "message": "Campaign cloned successfully",
    }
    original, copy = await shown(api, campaign_id), await shown(api, data["id"])
    for field in ("messages", "workflow", "goals", "targetAudience", "startDate", "endDate", "strategy"):
        assert copy[field] == original[field]
    assert (copy["statistics"]["messagesSent"], copy["baseline"]) == (0, None)
    body = {"name": "Mine", "resetStatistics": False}
    kept = (await api.post(f"/campaigns/{campaign_id}/clone", json=body)).json()["data"]
    assert (kept["name"], kept["id"] != data["id"]) == ("Mine", True)
    copy = await shown(api, kept["id"])
    assert copy["statistics"] == copy["baseline"] == original["statistics"]
    own = Statistics(1, 1, 0, 10, 1, 5)
    await parts.campaigns.note_statistics("acme", kept["id"], statistics=own, revision=1)
    copy = await shown(api, kept["id"])
    assert (copy["statistics"]["messagesSent"], copy["baseline"]["messagesSent"]) == (4510, 4500)
