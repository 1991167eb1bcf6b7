"""The main job, and what surrounds it: roles, orgs, bad input, the gateway."""

from typing import Any

import httpx
import pytest
from service_kit.testing.waiting import eventually


async def test_a_campaign_reaches_everybody_and_every_book_agrees(world: Any):
    blocked = [world.chat(n) for n in range(10)]
    lost = [world.chat(n) for n in range(10, 15)]
    await world.telegram.patch("/config", json={"blocked_chats": blocked, "not_found_chats": lost})
    await world.set_up(contacts=300, rate=1000)
    campaign_id, execution_id = await world.start_campaign()
    done = await world.until_completed(campaign_id)

    numbers = done["progress"]
    assert (numbers["total"], numbers["successful"], numbers["failed"]) == (300, 285, 15)
    assert {error["code"]: error["count"] for error in done["errors"]} == {
        "USER_BLOCKED": 10,
        "CHAT_NOT_FOUND": 5,
    }
    assert done["executionId"] == execution_id

    rows = await world.recipients(campaign_id)
    assert len({row["contactId"] for row in rows}) == len(rows) == 300
    assert {row["contactId"] for row in rows if row["errorCode"] == "USER_BLOCKED"} == {
        f"c{n:05d}" for n in range(10)
    }
    entries = await world.telegram_ledger()
    assert len(entries) == 300

    statistics = await world.read(
        f"/campaigns/{campaign_id}/statistics", lambda seen: seen["overview"]["messagesSent"] == 300
    )
    assert statistics["overview"]["delivered"] == 285
    assert statistics["performance"]["deliveryRate"] == 95.0
    assert sum(day["sent"] for day in statistics["timeline"]) == 300
    [segment], [variation] = statistics["segments"], statistics["variations"]
    assert (segment["segmentId"], segment["name"]) == ("seg123", "Premium Users")
    assert variation["variationId"] is None and variation["performance"]["interval"] == [0, 1.3]
    for part in (segment, variation):
        assert (part["performance"]["sent"], part["performance"]["delivered"]) == (300, 285)
    assert [(error["code"], error["count"]) for error in statistics["errors"]] == [
        ("USER_BLOCKED", 10),
        ("CHAT_NOT_FOUND", 5),
    ]
    last_hour = await world.read(f"/campaigns/{campaign_id}/statistics?period=1h&metrics=delivered,timeline")
    assert last_hour["overview"] == {"delivered": 285}
    assert (len(last_hour["timeline"]), sum(minute["sent"] for minute in last_hour["timeline"])) == (60, 300)
    campaign = await world.read(
        f"/campaigns/{campaign_id}",
        lambda seen: seen["status"] == "completed" and seen["statistics"]["messagesSent"] == 300,
    )
    assert campaign["targetAudience"]["totalCount"] == 300
    assert campaign["statistics"]["completedTasks"] == campaign["statistics"]["totalTasks"] > 0

    async def types() -> list[str]:
        return world.subscriber.types(campaign_id)

    got = await eventually(types, lambda seen: len(seen) == 3)
    assert sorted(got) == ["campaign.completed", "campaign.created", "campaign.started"]
    assert world.subscriber.refused == 0


async def test_a_bot_that_telegram_refuses_fails_the_execution_and_says_so(world: Any):
    await world.set_up(contacts=50, rate=1000)
    # The token was good when the bot was registered, and is revoked now.
    listed = (await world.telegram.get("/ledger/summary")).json()
    assert listed["total"] == 0
    await world.telegram.patch("/config", json={"unauthorized_tokens": [world.token]})
    campaign_id, _ = await world.start_campaign()
    campaign = await world.read(f"/campaigns/{campaign_id}", lambda seen: seen["status"] == "paused")
    assert campaign["failure"]["code"] == "BOT_UNAUTHORIZED"
    progress = await world.progress(campaign_id)
    assert progress["status"] == "failed"
    assert progress["progress"]["successful"] == 0

    async def types() -> list[str]:
        return world.subscriber.types(campaign_id)

    await eventually(types, lambda seen: "campaign.failed" in seen)


async def test_a_test_execution_reaches_testers_only_and_counts_nowhere(world: Any):
    await world.set_up(contacts=20, rate=1000)
    api = world.api()
    await api.call("PUT", "/contacts/c00003", json={
        "telegramChatId": world.chat(3), "firstName": "N3", "segments": ["seg123"], "tester": True,
    })  # fmt: skip
    campaign = await api.call("POST", "/campaigns", json={
        "name": "Try", "targetAudience": {"segments": ["seg123"]}, "messages": [{"content": "Hi {{firstName}}"}],
    })  # fmt: skip
    await api.call("POST", f"/campaigns/{campaign['id']}/execute", json={"testMode": True})
    done = await world.until_completed(campaign["id"])
    assert done["testMode"] is True
    assert done["progress"]["total"] == done["progress"]["successful"] == 1
    assert [entry["chat_id"] for entry in await world.telegram_ledger()] == [world.chat(3)]

    async def completed() -> list[str]:
        return world.subscriber.types(campaign["id"])

    await eventually(completed, lambda seen: "campaign.completed" in seen)
    shown = await api.call("GET", f"/campaigns/{campaign['id']}")
    statistics = await api.call("GET", f"/campaigns/{campaign['id']}/statistics")
    assert (shown["status"], statistics["overview"]["messagesSent"]) == ("draft", 0)
    await api.close()


async def test_half_the_audience_is_a_sample_that_is_the_same_each_time(world: Any):
    await world.set_up(contacts=400, rate=1000)
    api = world.api()
    campaign = await api.call("POST", "/campaigns", json={
        "name": "Half", "targetAudience": {"segments": ["seg123"]}, "messages": [{"content": "Hi"}],
    })  # fmt: skip
    await api.call("POST", f"/campaigns/{campaign['id']}/execute", json={"targetPercentage": 50})
    done = await world.until_completed(campaign["id"])
    assert 150 <= done["progress"]["total"] <= 250
    assert done["progress"]["successful"] == done["progress"]["total"]
    await api.close()


ROUTES = [
    ("GET", "/campaigns"), ("POST", "/campaigns"), ("GET", "/campaigns/camp_x"), ("POST", "/campaigns/camp_x/execute"),
    ("GET", "/campaigns/camp_x/progress"), ("GET", "/campaigns/camp_x/recipients"),
    ("GET", "/campaigns/camp_x/statistics"), ("POST", "/templates"), ("GET", "/templates/tmpl_x"),
    ("PUT", "/contacts/c1"), ("POST", "/contacts/import"), ("POST", "/segments"), ("GET", "/segments"),
    ("GET", "/segments/seg_x"), ("POST", "/bots"), ("GET", "/bots"), ("POST", "/webhooks"), ("GET", "/webhooks"),
    ("GET", "/webhooks/wh_x/deliveries"),
]  # fmt: skip


def assert_envelope(answer: httpx.Response) -> None:
    body = answer.json()
    assert body["success"] is False, body
    assert body["error"]["code"].isupper()
    assert body["error"]["message"]
    assert body["requestId"]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_answers_without_a_token(world: Any, method: str, path: str):
    async with world.http(role=None) as http:
        answer = await http.request(method, path, json={} if method != "GET" else None)
    assert answer.status_code == 401
    assert_envelope(answer)


async def test_another_org_sees_none_of_it(world: Any):
    await world.set_up(contacts=3, rate=1000)
    campaign_id, _ = await world.start_campaign()
    await world.until_completed(campaign_id)
    api = world.api()
    webhook = (await api.call("GET", "/webhooks"))["webhooks"][0]["id"]
    bot = (await api.call("GET", "/bots"))["bots"][0]["id"]
    await api.close()
    paths = [
        f"/campaigns/{campaign_id}", f"/campaigns/{campaign_id}/progress", f"/campaigns/{campaign_id}/recipients",
        f"/campaigns/{campaign_id}/statistics", "/segments/seg123", "/contacts/c00001", f"/bots/{bot}",
        f"/webhooks/{webhook}/deliveries",
    ]  # fmt: skip
    async with world.http(org="another-org") as http:
        answers = [await http.get(path) for path in paths]
        executed = await http.post(f"/campaigns/{campaign_id}/execute")
        lists = [
            (await http.get(path)).json()["data"]
            for path in ("/campaigns", "/segments", "/bots", "/webhooks")
        ]
    assert [answer.status_code for answer in answers] == [404] * len(paths)
    assert executed.status_code == 404
    assert [listed["pagination"]["total"] for listed in lists] == [0, 0, 0, 0]


BAD: list[tuple[str, str, Any, int]] = [
    ("POST", "/campaigns", {}, 422),
    ("POST", "/campaigns", {"name": ""}, 422),
    ("POST", "/campaigns", {"name": "x" * 201}, 422),
    ("POST", "/campaigns", {"name": "a", "type": "party"}, 422),
    ("POST", "/campaigns", {"name": "a", "colour": "red"}, 422),
    ("POST", "/campaigns", {"name": "a", "goals": {"revenue": -1}}, 422),
    ("POST", "/campaigns", {"name": "a", "goals": {"conversionRate": 101}}, 422),
    (
        "POST",
        "/campaigns",
        {"name": "a", "startDate": "2026-02-01T00:00:00Z", "endDate": "2026-01-01T00:00:00Z"},
        422,
    ),
    (
        "POST",
        "/campaigns",
        {"name": "a", "messages": [{"content": "x", "variations": [{"content": "y", "weight": 101}]}]},
        422,
    ),
    ("POST", "/campaigns", {"name": "a", "targetAudience": {"segments": [f"s{n}" for n in range(101)]}}, 422),
    ("POST", "/campaigns", b"{", 400),
    ("POST", "/campaigns", b'{"name": NaN}', 422),
    ("POST", "/campaigns", {"name": "a", "description": "x" * 600_000}, 413),
    ("GET", "/campaigns?limit=101", None, 400),
    ("GET", "/campaigns?page=0", None, 400),
    ("GET", "/campaigns?sort=colour", None, 400),
    ("GET", "/campaigns?status=party", None, 400),
    ("POST", "/campaigns/camp_x/execute", {"targetPercentage": 0}, 422),
    ("POST", "/campaigns/camp_x/execute", {"priority": "urgent"}, 422),
    ("POST", "/templates", {"name": "t"}, 422),
    ("POST", "/templates", {"name": "t", "content": "x", "parseMode": "BBCode"}, 422),
    ("PUT", "/contacts/c1", {"firstName": "A"}, 422),
    ("PUT", "/contacts/c1", {"telegramChatId": 0}, 422),
    ("PUT", "/contacts/c1", {"telegramChatId": "twelve"}, 422),
    ("PUT", "/contacts/c1", {"telegramChatId": 5, "timezone": "Mars/Olympus"}, 422),
    ("POST", "/segments", {"id": "a b", "name": "x"}, 422),
    ("POST", "/segments", {}, 422),
    ("POST", "/bots", {"name": "b", "token": "no-token"}, 422),
    ("POST", "/webhooks", {"url": "ftp://example.com/x", "events": ["*"]}, 422),
    ("POST", "/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["campaign.invented"]}, 422),
    ("GET", "/campaigns/camp_x/recipients?limit=0", None, 400),
]


async def test_bad_input_to_every_route_is_a_clear_4xx_and_nothing_is_stored(world: Any):
    async with world.http() as http:
        for method, path, body, status in BAD:
            raw = {"content": body} if isinstance(body, bytes) else {"json": body}
            answer = await http.request(
                method,
                path,
                **(raw if body is not None else {}),
                headers={"Content-Type": "application/json"},
            )
            assert answer.status_code == status, (method, path, str(body)[:80], answer.text[:300])
            assert_envelope(answer)
        for path in ("/campaigns", "/segments", "/bots", "/webhooks"):
            assert (await http.get(path)).json()["data"]["pagination"]["total"] == 0
        assert (await http.get("/contacts/c1")).status_code == 404


async def test_a_viewer_reads_and_an_editor_does_not_touch_secrets(world: Any):
    async with world.http(role="viewer") as http:
        assert (await http.get("/campaigns")).status_code == 200
        refused = [
            await http.post("/campaigns", json={"name": "x"}),
            await http.put("/contacts/c1", json={"telegramChatId": 5}),
            await http.post("/webhooks", json={"url": "http://127.0.0.1:9/x", "events": ["*"]}),
        ]
    async with world.http(role="editor") as http:
        refused.append(await http.post("/bots", json={"name": "b", "token": "1234567:abcdefghijklmnop"}))
    for answer in refused:
        assert answer.status_code == 403
        assert_envelope(answer)


async def test_the_gateway_wears_the_envelope_and_hides_what_is_internal(world: Any):
    root = world.stack.settings.gateway_url
    async with world.http() as http:
        for path in (f"{root}/nothing", f"{root}/internal/preflight", f"{root}/metrics", "/nothing/here"):
            answer = await http.get(path)
            assert answer.status_code == 404, path
            assert_envelope(answer)


async def test_a_service_that_is_down_is_a_502_in_the_envelope_and_the_others_go_on(world: Any):
    world.stack.stop("stats-api")
    try:
        async with world.http() as http:
            answer = await http.get("/campaigns/camp_x/statistics")
            other = await http.get("/campaigns")
        assert answer.status_code in (502, 503)
        assert_envelope(answer)
        assert other.status_code == 200
    finally:
        world.stack.start("stats-api")
