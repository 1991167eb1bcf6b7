"""/webhooks against a real MongoDB: what is stored, what is shown, and to whom."""

import base64
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.crypto import SecretBox, SecretUnreadable
from webhook_service.application.endpoint_secrets import own_headers, signing_secrets
from webhook_service.domain.delivery import Attempt, Delivery, Outcome, Status
from webhook_service.domain.endpoint import DisabledReason, secret_owner

pytestmark = pytest.mark.integration
URL = "https://example.com/hooks"


async def test_an_organisation_has_a_limited_number_of_webhooks(api: Any):
    await api.rows.insert_many([{"_id": f"wh_{number}", "org": "acme"} for number in range(999)])
    last = (await api.create())["id"]
    error = await api.call("POST", "/webhooks", api.webhook, status=422)
    assert (error["code"], "1,000" in error["message"]) == ("TOO_MANY_WEBHOOKS", True)
    await api.call("POST", "/webhooks", api.webhook, org="globex", status=201)
    await api.call("DELETE", f"/webhooks/{last}")
    await api.create()


async def test_a_created_webhook_shows_its_secret_once_and_stores_it_sealed(api: Any):
    created = await api.create()
    secret = created.pop("secret")
    assert created.pop("message") == "Webhook created successfully"
    assert secret.startswith("whsec_")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert created["id"].startswith("wh_")
    assert (created["url"], created["events"], created["active"]) == (URL, api.webhook["events"], True)
    row = await api.rows.find_one({"_id": created["id"]})
    assert secret not in str(row)
    assert (
        SecretBox.open(
            api.ports.secrets, row["secrets"][0]["sealed"], owner=secret_owner("acme", created["id"])
        )
        == secret
    )
    assert await api.get(f"/webhooks/{created['id']}") == created
    assert (await api.get("/webhooks"))["webhooks"] == [created]


async def test_everything_that_an_owner_decides_is_stored_and_shown_with_the_headers_values_masked(api: Any):
    wish = {
        "campaignIds": ["camp_1", "camp_2"], "ordered": True, "rateLimit": 5, "active": False,
        "headers": {"Authorization": "Bearer zebra", "X-Te.am": "growth"},
    }  # fmt: skip
    created = await api.create(**wish)
    shown = {**wish, "headers": {"Authorization": "********", "X-Te.am": "********"}}
    assert {name: created[name] for name in wish} == shown
    assert (created["disabledReason"], created["failingSince"], created["lastSuccessAt"]) == (
        None,
        None,
        None,
    )
    assert await api.get(f"/webhooks/{created['id']}") == {
        name: value for name, value in created.items() if name not in ("secret", "message")
    }
    assert "zebra" not in str(await api.rows.find_one({"_id": created["id"]}))
    stored = await api.ports.endpoints.find("acme", created["id"])
    assert stored is not None
    assert own_headers(stored, secrets=api.ports.secrets) == wish["headers"]


async def test_a_sealed_header_opens_for_no_other_header_or_endpoint(api: Any):
    one, other = [(await api.create(headers={"X-A": "1", "X-B": "2"}))["id"] for _ in range(2)]
    (a, b) = (await api.rows.find_one({"_id": one}))["headers"]
    for owner, name in ((one, "X-B"), (other, "X-A")):
        moved = [{"name": name, "sealed": a["sealed"]}]
        await api.rows.update_one({"_id": owner}, {"$set": {"headers": moved}})
        endpoint = await api.ports.endpoints.find("acme", owner)
        assert endpoint is not None
        with pytest.raises(SecretUnreadable):
            own_headers(endpoint, secrets=api.ports.secrets)
    assert a["sealed"] != b["sealed"]


async def test_an_endpoint_of_before_rotation_and_filters_reads_with_their_defaults(api: Any):
    created = await api.create()
    row = await api.rows.find_one({"_id": created["id"]})
    old = {
        name: row[name]
        for name in ("_id", "org", "url", "events", "description", "active", "createdAt", "updatedAt")
    }
    await api.rows.replace_one({"_id": created["id"]}, {**old, "secretSealed": row["secrets"][0]["sealed"]})
    endpoint = await api.ports.endpoints.find("acme", created["id"])
    assert endpoint is not None
    assert signing_secrets(endpoint, api.ports.clock.now(), secrets=api.ports.secrets) == [created["secret"]]
    assert (endpoint.campaign_ids, endpoint.ordered, endpoint.headers, endpoint.version) == ((), False, {}, 0)
    await api.call("PUT", f"/webhooks/{created['id']}", {"ordered": True})
    await api.disable(created["id"], DisabledReason.GONE)
    changed = await api.ports.endpoints.find("acme", created["id"])
    assert changed is not None and (changed.version, changed.ordered, changed.active) == (2, True, False)


async def test_created_again_under_its_key_it_shows_the_same_secret_that_the_database_cannot_tell(api: Any):
    headers = {**api.token(), "Idempotency-Key": "k"}
    first, again = [await api.client.post("/webhooks", json=api.webhook, headers=headers) for _ in range(2)]
    assert first.status_code == 201
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert first.headers["cache-control"] == again.headers["cache-control"] == "no-store"
    assert await api.rows.count_documents({}) == 1
    assert first.json()["data"]["secret"] not in str(await api.request_keys.find_one({}))


async def test_the_same_key_of_another_organisation_shows_nothing_of_the_first(api: Any):
    answers = [
        await api.client.post(
            "/webhooks", json=api.webhook, headers={**api.token(org=org), "Idempotency-Key": "k"}
        )
        for org in ("acme", "other")
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json()["data"]["secret"] != answers[1].json()["data"]["secret"]


async def test_a_target_that_was_refused_may_be_mended_under_the_same_key(api: Any):
    headers = {**api.token(), "Idempotency-Key": "k"}
    refused = {**api.webhook, "url": "https://inside.example/"}
    assert (await api.client.post("/webhooks", json=refused, headers=headers)).status_code == 422
    assert (await api.client.post("/webhooks", json=api.webhook, headers=headers)).status_code == 201


async def test_webhooks_are_listed_by_page_newest_first(api: Any):
    ids = [(await api.create())["id"] for _ in range(3)]
    first, second = await api.get("/webhooks", limit=2), await api.get("/webhooks", limit=2, page=2)
    assert [item["id"] for item in first["webhooks"] + second["webhooks"]] == ids[::-1]
    assert second["pagination"] == {"page": 2, "limit": 2, "total": 3, "pages": 2}


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://inside.example/"}, "url"),
        ({"url": "https://nowhere.example/"}, "url"),
        ({"url": "https://127.0.0.1/"}, "url"),
        ({"url": ""}, "url"),
        ({"url": None}, "url"),
        ({"url": "https://example.com/" + "x" * 2048}, "url"),
        ({"events": []}, "events"),
        ({"events": ["campaign.exploded"]}, "events"),
        ({"events": ["*", "campaign.started"]}, "events"),
        ({"events": "*"}, "events"),
        ({"description": "x" * 5001}, "description"),
        ({"description": "a\u0000b"}, "description"),
        ({"active": "perhaps"}, "active"),
        ({"secret": "whsec_mine"}, "secret"),
        ({"campaignIds": ["camp_1"] * 101}, "campaignIds"),
        ({"campaignIds": ["a b"]}, "campaignIds.0"),
        ({"ordered": "perhaps"}, "ordered"),
        ({"rateLimit": 0}, "rateLimit"),
        ({"rateLimit": 1001}, "rateLimit"),
        ({"headers": {"X-Team": "a\nb"}}, "headers.X-Team"),
        ({"headers": {"X-Team": "x" * 1001}}, "headers.X-Team"),
        ({"headers": {"Content-Length": "1"}}, "headers.Content-Length"),
        ({"headers": {"x y": "1"}}, "headers.x y"),
        ({"headers": {"X-Team": "********"}}, "headers.X-Team"),
        ({"headers": {f"X-{number}": "1" for number in range(21)}}, "headers"),
    ],
)
async def test_a_field_that_breaks_a_rule_is_named_and_nothing_is_stored(
    api: Any, changes: dict[str, Any], field: str
):
    answer = await api.client.post("/webhooks", json={**api.webhook, **changes}, headers=api.token())
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["code"], error["details"][0]["field"]) == ("VALIDATION_FAILED", field)
    assert await api.rows.count_documents({}) == 0


async def test_bad_requests_are_refused_in_the_envelope(api: Any):
    created = await api.create()
    deliveries = f"/webhooks/{created['id']}/deliveries"
    for path, params in [
        ("/webhooks", {"page": 0}), ("/webhooks", {"limit": 101}), (deliveries, {"status": "lost"}),
        (deliveries, {"event": "campaign.exploded"}), (deliveries, {"limit": 0}), (deliveries, {"cursor": "$gt"}),
    ]:  # fmt: skip
        answer = await api.client.get(path, params=params, headers=api.token())
        assert (answer.status_code, answer.json()["success"]) == (400, False), (path, params)
    malformed = await api.client.post(
        "/webhooks", content=b"{", headers={**api.token(), "Content-Type": "application/json"}
    )
    assert malformed.status_code == 400


async def test_only_the_organisation_itself_with_the_right_role_gets_in(api: Any, make_delivery: Any):
    created = await api.create()
    await api.put(make_delivery(created["id"]))
    one = f"/webhooks/{created['id']}"
    for method, path in [("GET", "/webhooks"), ("POST", "/webhooks"), ("GET", one), ("DELETE", one),
                         ("GET", f"{one}/deliveries")]:  # fmt: skip
        assert (await api.client.request(method, path)).status_code == 401
    for method, path in [("POST", "/webhooks"), ("DELETE", one)]:
        body = api.webhook if method == "POST" else None
        answer = await api.client.request(method, path, json=body, headers=api.token("viewer"))
        assert answer.status_code == 403
    for method, path in [("GET", one), ("DELETE", one), ("GET", f"{one}/deliveries")]:
        answer = await api.client.request(method, path, headers=api.token("admin", org="other"))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
    theirs = await api.client.get("/webhooks", headers=api.token(org="other"))
    assert theirs.json()["data"]["pagination"]["total"] == 0
    assert await api.rows.count_documents({}) == 1


async def test_deliveries_show_their_attempts_and_come_in_pages(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime
):
    webhook = (await api.create())["id"]
    items = [make_delivery(webhook) for _ in range(3)]
    await api.put(*items)
    (claim,) = await api.ports.deliveries.claim([items[0].key], now=now, until=now + timedelta(seconds=45))
    later = now + timedelta(seconds=5)
    attempt = Attempt(now, 503, 41, "answered 503")
    await api.ports.deliveries.record([Outcome(claim, attempt, Status.PENDING, later, None, "busy")])
    path = f"/webhooks/{webhook}/deliveries"
    first = await api.get(path, limit=2)
    second = await api.get(path, limit=2, cursor=first["nextCursor"])
    assert [item["id"] for item in first["deliveries"]] == [items[2].id, items[1].id]
    assert second["nextCursor"] is None
    assert second["deliveries"] == [
        {
            "id": items[0].id, "event": "campaign.created", "eventId": items[0].event_id,
            "campaignId": items[0].campaign_id, "status": "pending",
            "attempts": [{"at": "2026-01-01T12:00:00Z", "statusCode": 503, "durationMs": 41, "error": "answered 503"}],
            "nextAttemptAt": "2026-01-01T12:00:05Z", "responseBody": "busy", "createdAt": "2026-01-01T12:00:00Z",
        }
    ]  # fmt: skip
    assert (await api.get(path, status="succeeded"))["deliveries"] == []
    assert len((await api.get(path, status="pending", event="campaign.created"))["deliveries"]) == 3


async def test_a_parked_delivery_is_found_as_parked_without_a_next_attempt(api: Any, make_delivery: Any):
    webhook = (await api.create())["id"]
    await api.put(make_delivery(webhook))
    await api.ports.deliveries.settle_all(webhook, Status.PARKED)
    (shown,) = (await api.get(f"/webhooks/{webhook}/deliveries", status="parked"))["deliveries"]
    assert (shown["status"], shown["nextAttemptAt"]) == ("parked", None)
    assert (await api.get(f"/webhooks/{webhook}/deliveries", status="pending"))["deliveries"] == []


async def test_deleting_a_webhook_ends_what_waits_for_it(api: Any, make_delivery: Any, now: datetime):
    webhook = (await api.create())["id"]
    await api.put(make_delivery(webhook), make_delivery("wh_other"))
    answer = await api.client.delete(f"/webhooks/{webhook}", headers=api.token())
    assert answer.json()["data"]["message"] == "Webhook deleted successfully"
    assert (await api.client.get(f"/webhooks/{webhook}", headers=api.token())).status_code == 404
    assert (await api.client.delete(f"/webhooks/{webhook}", headers=api.token())).status_code == 404
    due = await api.ports.deliveries.due(now=now, limit=10, except_endpoints=[])
    assert [item.endpoint_id for item in due] == ["wh_other"]
