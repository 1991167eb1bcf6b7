"""PUT, rotation, test events, the catalogue and the log, against a real MongoDB."""

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest
from service_kit.crypto import SecretBox, SecretUnreadable
from webhook_service.application.endpoint_secrets import own_headers, signing_secrets
from webhook_service.application.event_types import EVENT_TYPES
from webhook_service.domain.delivery import Status
from webhook_service.domain.endpoint import DisabledReason

pytestmark = pytest.mark.integration


async def stored(api: Any, webhook: str) -> Any:
    return await api.ports.endpoints.find("acme", webhook)


async def signing(api: Any, webhook: str) -> list[str]:
    return signing_secrets(await stored(api, webhook), api.clock.now(), secrets=api.ports.secrets)


async def test_a_put_is_a_merge_patch_that_keeps_what_it_leaves_out(api: Any):
    webhook = (await api.create(headers={"X-A": "1", "X-B": "2"}, rateLimit=5))["id"]
    api.clock.advance(60)
    patch = {
        "ordered": True,
        "campaignIds": ["camp_1"],
        "rateLimit": None,
        "headers": {"X-A": None, "X-C": "3"},
    }
    changed = await api.call("PUT", f"/webhooks/{webhook}", patch)
    assert changed == await api.get(f"/webhooks/{webhook}")
    assert (changed["ordered"], changed["campaignIds"], changed["rateLimit"]) == (True, ["camp_1"], None)
    assert (changed["url"], changed["description"]) == (api.webhook["url"], "Été")
    assert changed["headers"] == {"X-B": "********", "X-C": "********"}
    assert changed["updatedAt"] > changed["createdAt"]
    assert own_headers(await stored(api, webhook), secrets=api.ports.secrets) == {"X-B": "2", "X-C": "3"}


async def test_what_get_shows_can_be_sent_back_and_changes_nothing(api: Any):
    webhook = (await api.create(headers={"X-A": "1"}))["id"]
    shown = await api.get(f"/webhooks/{webhook}")
    api.clock.advance(60)
    assert await api.call("PUT", f"/webhooks/{webhook}", shown) == shown
    assert own_headers(await stored(api, webhook), secrets=api.ports.secrets) == {"X-A": "1"}


async def test_a_put_that_breaks_a_rule_names_the_field_and_changes_nothing(api: Any):
    webhook = (await api.create(headers={"X-A": "1"}))["id"]
    before = await api.rows.find_one({"_id": webhook})
    broken: list[tuple[dict[str, Any], str]] = [
        ({"url": "https://inside.example/"}, "url"),
        ({"url": None}, "url"),
        ({"events": []}, "events"),
        ({"events": None}, "events"),
        ({"headers": {"Host": "x"}}, "headers.Host"),
        ({"headers": {"x-a": "2"}}, "headers.x-a"),
        ({"headers": {"X-New": "********"}}, "headers.X-New"),
        ({"url": "https://other.example/"}, "headers.X-A"),
        ({"url": "https://other.example/", "headers": {"X-A": "********"}}, "headers.X-A"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"secret": None}, "secret"),
        ({"rateLimit": "5"}, "rateLimit"),
    ]
    for patch, field in broken:
        error = await api.call("PUT", f"/webhooks/{webhook}", patch, status=422)
        assert (error["code"], error["details"][0]["field"]) == ("VALIDATION_FAILED", field)
    assert await api.rows.find_one({"_id": webhook}) == before


async def test_another_url_goes_with_headers_given_anew(api: Any):
    webhook = (await api.create(headers={"X-A": "1"}))["id"]
    patch = {"url": "https://other.example/", "headers": {"X-A": "2"}}
    assert (await api.call("PUT", f"/webhooks/{webhook}", patch))["url"] == patch["url"]
    assert own_headers(await stored(api, webhook), secrets=api.ports.secrets) == {"X-A": "2"}


async def test_if_match_lets_the_first_of_two_editors_win(api: Any):
    webhook = (await api.create())["id"]
    seen = await api.client.get(f"/webhooks/{webhook}", headers=api.token())
    tag = seen.headers["etag"]
    await api.call("PUT", f"/webhooks/{webhook}", {"description": "one"}, If_Match=tag)
    error = await api.call("PUT", f"/webhooks/{webhook}", {"description": "two"}, If_Match=tag, status=412)
    assert error["code"] == "PRECONDITION_FAILED"
    assert (await api.get(f"/webhooks/{webhook}"))["description"] == "one"


async def test_only_the_version_that_if_match_names_is_deleted(api: Any):
    path = f"/webhooks/{(await api.create())['id']}"
    seen = await api.client.get(path, headers=api.token())
    await api.call("PUT", path, {"description": "changed"})
    error = await api.call("DELETE", path, If_Match=seen.headers["etag"], status=412)
    assert error["code"] == "PRECONDITION_FAILED"
    assert (await api.get(path))["description"] == "changed"
    await api.call("DELETE", path, If_Match=(await api.client.get(path, headers=api.token())).headers["etag"])
    assert (await api.client.get(path, headers=api.token())).status_code == 404


async def test_puts_at_the_same_moment_lose_nothing(api: Any):
    webhook = (await api.create())["id"]
    patches = [{"ordered": True}, {"rateLimit": 7}, {"description": "x"}]
    await asyncio.gather(*(api.call("PUT", f"/webhooks/{webhook}", patch) for patch in patches))
    shown = await api.get(f"/webhooks/{webhook}")
    assert (shown["ordered"], shown["rateLimit"], shown["description"]) == (True, 7, "x")


async def test_switched_off_it_parks_what_waits_and_switched_on_it_begins_afresh(
    api: Any, make_delivery: Any, now: Any
):
    webhook = (await api.create())["id"]
    await api.put(make_delivery(webhook))
    await api.call("PUT", f"/webhooks/{webhook}", {"active": False})
    log = f"/webhooks/{webhook}/deliveries"
    assert [item["status"] for item in (await api.get(log))["deliveries"]] == ["parked"]
    await api.call("PUT", f"/webhooks/{webhook}", {"active": True})
    assert [item["status"] for item in (await api.get(log))["deliveries"]] == ["parked"]
    await api.disable(webhook, DisabledReason.GONE)
    await api.rows.update_one({"_id": webhook}, {"$set": {"failingSince": now}})
    shown = await api.get(f"/webhooks/{webhook}")
    assert (shown["active"], shown["disabledReason"]) == (False, "GONE")
    assert shown["failingSince"] == "2026-01-01T12:00:00Z"
    await api.call("PUT", f"/webhooks/{webhook}", {"description": "still off"})
    assert (await api.get(f"/webhooks/{webhook}"))["disabledReason"] == "GONE"
    await api.call("PUT", f"/webhooks/{webhook}", {"active": True})
    shown = await api.get(f"/webhooks/{webhook}")
    assert (shown["active"], shown["disabledReason"], shown["failingSince"]) == (True, None, None)


async def test_a_rotated_secret_is_shown_once_and_the_old_one_signs_for_a_day(api: Any):
    created = await api.create()
    webhook = created["id"]
    rotated = await api.call("POST", f"/webhooks/{webhook}/rotate-secret", role="admin")
    assert rotated["secret"] != created["secret"]
    assert rotated["previousExpiresAt"] == "2026-01-02T12:00:00Z"
    assert await signing(api, webhook) == [rotated["secret"], created["secret"]]
    assert rotated["secret"] not in str(await api.rows.find_one({"_id": webhook}))
    assert "secret" not in await api.get(f"/webhooks/{webhook}")
    api.clock.advance(24 * 3600)
    assert await signing(api, webhook) == [rotated["secret"]]


async def test_a_secret_replaced_twice_keeps_its_own_end(api: Any):
    created = await api.create()
    rotate = f"/webhooks/{created['id']}/rotate-secret"
    second = await api.call("POST", rotate, role="admin")
    api.clock.advance(12 * 3600)
    third = await api.call("POST", rotate, role="admin")
    expected = [third["secret"], second["secret"], created["secret"]]
    assert await signing(api, created["id"]) == expected
    api.clock.advance(12 * 3600)
    assert await signing(api, created["id"]) == expected[:2]
    for _ in range(3):
        await api.call("POST", rotate, role="admin")
    error = await api.call("POST", rotate, role="admin", status=409)
    assert error["code"] == "TOO_MANY_SECRETS"


async def test_a_rotation_repeated_under_its_key_is_one_rotation(api: Any):
    webhook = (await api.create())["id"]
    answers = [
        await api.client.post(
            f"/webhooks/{webhook}/rotate-secret", headers={**api.token("admin"), "Idempotency-Key": "k"}
        )
        for _ in range(2)
    ]
    assert answers[0].content == answers[1].content
    assert answers[0].headers["cache-control"] == answers[1].headers["cache-control"] == "no-store"
    assert len(await signing(api, webhook)) == 2
    kept = await api.request_keys.find_one({})
    assert answers[0].json()["data"]["secret"] not in str(kept)


async def test_rotations_at_the_same_moment_each_leave_a_secret_that_signs(api: Any):
    webhook = (await api.create())["id"]
    path = f"/webhooks/{webhook}/rotate-secret"
    rotated = await asyncio.gather(*(api.call("POST", path, role="admin") for _ in range(3)))
    assert {item["secret"] for item in rotated} < set(await signing(api, webhook))
    assert len(await signing(api, webhook)) == 4


async def test_a_secret_that_was_moved_to_another_webhook_does_not_open(api: Any):
    one, other = [(await api.create())["id"] for _ in range(2)]
    row = await api.rows.find_one({"_id": one})
    await api.rows.update_one({"_id": other}, {"$set": {"secrets": row["secrets"]}})
    with pytest.raises(SecretUnreadable):
        await signing(api, other)
    await api.rows.update_one({"_id": one}, {"$set": {"org": "other"}})
    moved = await api.ports.endpoints.find("other", one)
    with pytest.raises(SecretUnreadable):
        signing_secrets(moved, api.clock.now(), secrets=api.ports.secrets)


async def test_secrets_open_after_the_key_ring_was_rotated_until_their_key_is_taken_out(api: Any):
    created = await api.create(headers={"X-A": "1"})
    endpoint = await stored(api, created["id"])
    old, new = (
        f"{name}:{base64.b64encode(bytes([seed]) * 32).decode()}" for name, seed in (("k1", 0), ("k2", 7))
    )
    box = SecretBox(f"{new},{old}")
    assert signing_secrets(endpoint, api.clock.now(), secrets=box) == [created["secret"]]
    assert own_headers(endpoint, secrets=box) == {"X-A": "1"}
    assert box.seal("x", owner="o").startswith("k2.")
    with pytest.raises(SecretUnreadable):
        signing_secrets(endpoint, api.clock.now(), secrets=SecretBox(new))


async def test_a_test_event_goes_through_the_queue_whatever_is_subscribed_to(api: Any, now: Any):
    webhook = (await api.create(events=["campaign.failed"], campaignIds=["camp_9"]))["id"]
    sent = await api.call("POST", f"/webhooks/{webhook}/test", status=201)
    assert (sent["event"], sent["campaignId"], sent["status"]) == ("webhook.test", None, "pending")
    (due,) = await api.ports.deliveries.due(now=now, limit=9, except_endpoints=[])
    (claim,) = await api.ports.deliveries.claim([due.key], now=now, until=now + timedelta(seconds=45))
    assert json.loads(claim.body) == {
        "type": "webhook.test",
        "timestamp": "2026-01-01T12:00:00Z",
        "data": {"webhookId": webhook, "message": "This is a test: nothing has happened."},
    }
    log = await api.get(f"/webhooks/{webhook}/deliveries", event="webhook.test")
    assert [item["id"] for item in log["deliveries"]] == [sent["id"]]


async def test_a_test_under_a_key_is_sent_once_and_none_is_sent_while_switched_off(api: Any, now: Any):
    webhook = (await api.create())["id"]
    first, again = [
        await api.call("POST", f"/webhooks/{webhook}/test", Idempotency_Key="k") for _ in range(2)
    ]
    assert first == again
    assert len(await api.ports.deliveries.due(now=now, limit=9, except_endpoints=[])) == 1
    await api.call("PUT", f"/webhooks/{webhook}", {"active": False})
    error = await api.call("POST", f"/webhooks/{webhook}/test", status=409)
    assert error["code"] == "WEBHOOK_DISABLED"


async def test_the_catalogue_lists_every_type_with_schema_and_example(api: Any):
    types = (await api.get("/webhooks/event-types"))["eventTypes"]
    assert [item["type"] for item in types if item["subscribable"]] == list(EVENT_TYPES)
    assert all(item["schema"]["properties"]["type"] == {"const": item["type"]} for item in types)
    assert all(item["example"]["type"] == item["type"] for item in types)


async def test_a_delivery_shows_its_request_without_secrets_and_every_attempt(
    api: Any, make_delivery: Any, now: Any
):
    created = await api.create(headers={"Authorization": "Bearer zebra"})
    item = make_delivery(created["id"], body='{"type":"campaign.created","data":{"name":"Été"}}'.encode())
    await api.put(item)
    await api.attempted(item, Status.FAILED, at=now)
    path = f"/webhooks/{created['id']}/deliveries/{item.id}"
    answer = await api.client.get(path, headers=api.token("viewer"))
    shown = answer.json()["data"]
    assert shown["request"] == {
        "url": api.webhook["url"],
        "headers": {
            "Authorization": "********",
            "content-type": "application/json",
            "webhook-id": item.event_id,
        },
        "body": item.body.decode(),
    }
    (attempt,) = shown["attempts"]
    assert attempt == {
        "at": "2026-01-01T12:00:00Z",
        "statusCode": 500,
        "durationMs": 3,
        "error": "answered 500",
    }
    assert (shown["id"], shown["status"], shown["responseBody"]) == (item.id, "failed", "text")
    assert "zebra" not in answer.text and created["secret"] not in answer.text


async def test_every_new_route_keeps_other_organisations_and_lower_roles_out(api: Any, make_delivery: Any):
    webhook = (await api.create())["id"]
    other = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    one = f"/webhooks/{webhook}"
    routes = [
        ("PUT", one, "editor"), ("POST", f"{one}/rotate-secret", "admin"), ("POST", f"{one}/test", "editor"),
        ("GET", f"{one}/deliveries/{item.id}", "viewer"), ("POST", f"{one}/deliveries/{item.id}/retry", "editor"),
        ("POST", f"{one}/recover", "editor"),
    ]  # fmt: skip
    below = {"admin": "editor", "editor": "viewer"}
    before = await api.rows.find_one({"_id": webhook})
    for method, path, role in routes:
        body = {"description": "x"} if method == "PUT" else {"since": "2026-01-01T00:00:00Z"}
        body = body if method == "PUT" or path.endswith("recover") else None
        assert (await api.client.request(method, path, json=body)).status_code == 401
        assert (await api.call(method, path, body, role="admin", org="other", status=404))[
            "code"
        ] == "NOT_FOUND"
        if role in below:
            await api.call(method, path, body, role=below[role], status=403)
    await api.call("GET", f"/webhooks/{other}/deliveries/{item.id}", status=404)
    await api.call("GET", f"{one}/deliveries/dlv_nobody", status=404)
    assert (await api.client.get("/webhooks/event-types")).status_code == 401
    assert await api.rows.find_one({"_id": webhook}) == before
