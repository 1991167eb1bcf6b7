"""Changing and deleting bots, black box on a real database."""

import json
from typing import Any

import httpx
import pytest
from execution_service.bootstrap import Wiring

pytestmark = pytest.mark.integration
BOTS = "/api/v1/bots"


async def _register(api: httpx.AsyncClient, number: int, **fields: Any) -> dict[str, Any]:
    body = {"name": f"B{number}", "token": f"{number}:good-secret", **fields}
    made = await api.post(BOTS, json=body)
    assert made.status_code == 201, made.text
    data: dict[str, Any] = made.json()["data"]
    return data


async def test_a_bot_is_changed_field_by_field(api: httpx.AsyncClient, wiring: Wiring) -> None:
    first, second = await _register(api, 1, limits={"perSecond": 5}), await _register(api, 2)
    url = f"{BOTS}/{second['id']}"
    same = await api.put(url, json=second)
    assert (same.status_code, same.json()["data"]) == (200, second), "GET, edit, PUT"
    changed = (await api.put(url, json={"name": "Fast", "limits": {"perSecond": 7}})).json()["data"]
    assert changed == {**second, "name": "Fast", "limits": {**second["limits"], "perSecond": 7}}
    assert (await api.put(url, json={"limits": {"perSecond": None}})).json()["data"]["limits"][
        "perSecond"
    ] == 30
    assert (await api.put(f"{BOTS}/{first['id']}", json={"limits": None})).json()["data"]["limits"] == second[
        "limits"
    ]
    taken = await api.put(url, json={"default": True})
    assert taken.json()["data"]["default"]
    assert not (await api.get(f"{BOTS}/{first['id']}")).json()["data"]["default"]
    assert (await api.get(url)).json()["data"] == taken.json()["data"]
    for bad in (
        {"default": False},
        {"name": None},
        {"token": None},
        {"limits": {"perSecond": 0}},
        {"speed": 1},
    ):
        refused = await api.put(url, json=bad)
        assert refused.status_code == 422, bad
    assert (await api.put(f"{BOTS}/bot_none", json={"name": "x"})).status_code == 404


async def test_a_new_token_must_be_the_same_telegram_bots(api: httpx.AsyncClient, wiring: Wiring) -> None:
    bot = await _register(api, 1)
    url = f"{BOTS}/{bot['id']}"
    for token, status in (("2:good-other", 422), ("1:bad-secret", 422), ("nonsense", 422), ("1:slow-x", 503)):
        answer = await api.put(url, json={"token": token})
        assert answer.status_code == status, answer.text
        if status == 422:
            assert answer.json()["error"]["details"][0]["field"] == "token"
        assert token not in answer.text
    stored = await wiring.bots.get("acme", bot["id"])
    assert stored and wiring.bots.token(stored) == "1:good-secret"
    answer = await api.put(url, json={"token": "1:good-new"})
    assert answer.status_code == 200 and "good-new" not in answer.text
    stored = await wiring.bots.get("acme", bot["id"])
    assert stored and wiring.bots.token(stored) == "1:good-new"


async def test_a_deleted_default_is_followed_by_the_oldest_of_the_others(api: httpx.AsyncClient) -> None:
    bots = [await _register(api, number) for number in (1, 2, 3)]
    await api.put(f"{BOTS}/{bots[2]['id']}", json={"default": True})
    assert (await api.delete(f"{BOTS}/{bots[2]['id']}")).status_code == 200
    assert (await api.delete(f"{BOTS}/{bots[2]['id']}")).status_code == 404
    left = (await api.get(BOTS)).json()["data"]["bots"]
    assert [(bot["id"], bot["default"]) for bot in left] == [(bots[0]["id"], True), (bots[1]["id"], False)]
    for bot in bots[:2]:
        assert (await api.delete(f"{BOTS}/{bot['id']}")).status_code == 200
    assert (await _register(api, 9))["default"], "the first one again"


@pytest.mark.parametrize(
    ("status", "fields", "answer"),
    [
        ("running", {"bots": [{"id": "BOT", "telegramId": 1}]}, 409),
        ("paused", {"bots": [{"id": "BOT", "telegramId": 1}]}, 409),
        ("planning", {"bots": [], "snapshot": {"botIds": ["x", "BOT"]}}, 409),
        ("running", {"bots": [{"id": "other", "telegramId": 1}]}, 200),
        ("completed", {"bots": [{"id": "BOT", "telegramId": 1}]}, 200),
    ],
)
async def test_a_bot_that_something_is_sent_with_stays(
    api: httpx.AsyncClient, wiring: Wiring, status: str, fields: dict[str, Any], answer: int
) -> None:
    bot = await _register(api, 1)
    text = json.dumps({"_id": "exec_1", "org": "acme", "campaignId": "camp_1", "status": status, **fields})
    await wiring.database["executions"].insert_one(json.loads(text.replace("BOT", bot["id"])))
    deleted = await api.delete(f"{BOTS}/{bot['id']}")
    assert deleted.status_code == answer, deleted.text
    if answer == 409:
        assert deleted.json()["error"]["code"] == "BOT_IN_USE"
        assert "camp_1" in deleted.json()["error"]["message"]
    assert (await api.get(f"{BOTS}/{bot['id']}")).status_code == (200 if answer == 409 else 404)
