"""Retry one delivery, recover many, against a real MongoDB."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from webhook_service.application import redeliver
from webhook_service.domain.delivery import Delivery, Status

pytestmark = pytest.mark.integration


async def statuses(api: Any, webhook: str) -> dict[str, str]:
    log = await api.get(f"/webhooks/{webhook}/deliveries", limit=100)
    return {item["id"]: item["status"] for item in log["deliveries"]}


@pytest.mark.parametrize("status", [Status.FAILED, Status.SUCCEEDED])
async def test_a_retry_makes_a_delivery_due_at_once_and_keeps_its_attempts(
    api: Any, make_delivery: Any, now: datetime, status: Status
):
    webhook = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    await api.attempted(item, status, at=now)
    api.clock.advance(60)
    path = f"/webhooks/{webhook}/deliveries/{item.id}/retry"
    shown = await api.call("POST", path, status=200)
    assert (shown["status"], len(shown["attempts"])) == ("pending", 1)
    assert shown["nextAttemptAt"] == "2026-01-01T12:01:00Z"
    (due,) = await api.ports.deliveries.due(now=api.clock.now(), limit=9, except_endpoints=[])
    assert due.key == item.key


async def test_a_retry_of_what_was_parked_needs_the_webhook_to_be_on(api: Any, make_delivery: Any):
    webhook = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    await api.call("PUT", f"/webhooks/{webhook}", {"active": False})
    path = f"/webhooks/{webhook}/deliveries/{item.id}/retry"
    assert (await api.call("POST", path, status=409))["code"] == "WEBHOOK_DISABLED"
    await api.call("PUT", f"/webhooks/{webhook}", {"active": True})
    assert (await api.call("POST", path, status=200))["status"] == "pending"


async def test_a_retry_of_what_is_under_way_is_refused(api: Any, make_delivery: Any, now: datetime):
    webhook = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    await api.ports.deliveries.claim([item.key], now=now, until=now + timedelta(seconds=45))
    answer = await api.client.post(f"/webhooks/{webhook}/deliveries/{item.id}/retry", headers=api.token())
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "DELIVERY_UNDER_WAY")
    assert answer.headers["retry-after"] == "15"


async def test_a_delivery_whose_log_is_full_is_not_retried(
    api: Any, make_delivery: Any, now: datetime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redeliver, "MAX_ATTEMPTS", 1)
    webhook = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    await api.attempted(item, Status.FAILED, at=now)
    path = f"/webhooks/{webhook}/deliveries/{item.id}/retry"
    assert (await api.call("POST", path, status=409))["code"] == "TOO_MANY_ATTEMPTS"
    assert await statuses(api, webhook) == {item.id: "failed"}


async def test_a_retry_under_its_key_is_one(api: Any, make_delivery: Any, now: datetime):
    webhook = (await api.create())["id"]
    item = make_delivery(webhook)
    await api.put(item)
    await api.attempted(item, Status.FAILED, at=now)
    path = f"/webhooks/{webhook}/deliveries/{item.id}/retry"
    first = await api.call("POST", path, Idempotency_Key="k", status=200)
    await api.attempted(item, Status.SUCCEEDED, at=now)
    assert await api.call("POST", path, Idempotency_Key="k", status=200) == first
    assert await statuses(api, webhook) == {item.id: "succeeded"}


async def test_recover_lets_what_failed_or_was_parked_since_then_wait_again_in_order(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redeliver, "BATCH", 2)
    webhook, other = [(await api.create())["id"] for _ in range(2)]
    items = [
        make_delivery(
            webhook, campaign_id="camp_1", sequence=number, created_at=now + timedelta(seconds=number)
        )
        for number in range(7)
    ]
    done, foreign = make_delivery(webhook, created_at=now + timedelta(seconds=3)), make_delivery(other)
    await api.put(*items, done, foreign)
    for item in (*items[:4], foreign):
        await api.attempted(item, Status.FAILED, at=now)
    await api.attempted(done, Status.SUCCEEDED, at=now)
    await api.call("PUT", f"/webhooks/{webhook}", {"active": False})
    path, body = f"/webhooks/{webhook}/recover", {"since": "2026-01-01T12:00:01Z"}
    api.clock.advance(600)
    assert (await api.call("POST", path, body, status=409))["code"] == "WEBHOOK_DISABLED"
    await api.call("PUT", f"/webhooks/{webhook}", {"active": True})
    until = {**body, "until": "2026-01-01T12:00:06+00:00"}
    assert await api.call("POST", path, until, status=200) == {"recovered": 5, "nextCursor": None}
    due = await api.ports.deliveries.due(now=api.clock.now(), limit=99, except_endpoints=[])
    assert [item.key for item in due] == [item.key for item in items[1:6]]
    expected = {item.id: "pending" for item in items[1:6]} | {items[0].id: "failed", items[6].id: "parked"}
    assert await statuses(api, webhook) == expected | {done.id: "succeeded"}
    assert await statuses(api, other) == {foreign.id: "failed"}


async def test_at_an_ordered_webhook_nothing_recovered_is_due_before_all_of_its_batch_is_free(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime
):
    webhook = (await api.create(ordered=True))["id"]
    await api.put(item := make_delivery(webhook))
    await api.attempted(item, Status.FAILED, at=now)
    api.clock.advance(60)
    body = {"since": "2026-01-01T00:00:00Z"}
    await api.call("POST", f"/webhooks/{webhook}/recover", body, status=200)
    look = api.ports.deliveries.due
    assert await look(now=api.clock.now(), limit=9, except_endpoints=[]) == []
    api.clock.advance(1)
    assert len(await look(now=api.clock.now(), limit=9, except_endpoints=[])) == 1


async def test_a_large_recovery_goes_on_by_cursor_and_takes_nothing_twice(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redeliver, "BATCH", 2)
    monkeypatch.setattr(redeliver, "MOST", 4)
    webhook = (await api.create())["id"]
    items = [make_delivery(webhook, sequence=number) for number in range(5)]
    await api.put(*items)
    for item in items:
        await api.attempted(item, Status.FAILED, at=now)
    path, body = f"/webhooks/{webhook}/recover", {"since": "2026-01-01T00:00:00Z"}
    api.clock.advance(1)
    first = await api.call("POST", path, body, status=200)
    assert first == {"recovered": 4, "nextCursor": items[3].id}
    await api.attempted(items[0], Status.FAILED, at=api.clock.now())  # it fails again meanwhile
    rest = await api.call("POST", path, {**body, "cursor": first["nextCursor"]}, status=200)
    assert rest == {"recovered": 1, "nextCursor": None}


async def test_a_call_that_has_taken_its_second_ends_after_the_batch_and_says_where_to_go_on(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(redeliver, "BATCH", 2)
    monkeypatch.setattr(redeliver, "SECONDS", 0.0)
    webhook = (await api.create())["id"]
    items = [make_delivery(webhook, sequence=number) for number in range(5)]
    await api.put(*items)
    for item in items:
        await api.attempted(item, Status.FAILED, at=now)
    api.clock.advance(1)
    path, cursor, calls = f"/webhooks/{webhook}/recover", None, []
    while not calls or cursor is not None:
        body = {"since": "2026-01-01T00:00:00Z", "cursor": cursor}
        answer = await api.call("POST", path, body, status=200)
        cursor = answer["nextCursor"]
        calls.append(answer["recovered"])
    assert calls == [2, 2, 1]
    assert set((await statuses(api, webhook)).values()) == {"pending"}


async def test_what_an_owner_asks_for_is_told_to_the_deliverers_at_once(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime
):
    webhook = (await api.create())["id"]
    failed, retried = make_delivery(webhook), make_delivery(webhook, sequence=2)
    await api.put(failed, retried)
    for item in (failed, retried):
        await api.attempted(item, Status.FAILED, at=now)
    await api.call("POST", f"/webhooks/{webhook}/deliveries/{retried.id}/retry", status=200)
    api.clock.advance(1)
    await api.call("POST", f"/webhooks/{webhook}/recover", {"since": "2026-01-01T00:00:00Z"}, status=200)
    sent = await api.call("POST", f"/webhooks/{webhook}/test", status=201)
    told = [due.key for due in api.ports.bell.dues]
    assert told == [retried.key, failed.key, f"{webhook}:{sent['eventId']}"]


async def test_a_pause_of_the_webhook_ends_when_its_owner_asks_for_an_attempt(
    api: Any, make_delivery: Callable[..., Delivery], now: datetime
):
    webhook = (await api.create())["id"]
    waiting = make_delivery(webhook)
    await api.put(waiting)
    until = now + timedelta(minutes=10)
    endpoint = await api.ports.endpoints.find("acme", webhook)
    assert await api.ports.endpoints.pause(endpoint, until=until, again=True)
    await api.ports.deliveries.postpone([waiting.key], now=now, until=until)
    await api.call("POST", f"/webhooks/{webhook}/test", status=201)
    paused = await api.ports.endpoints.find("acme", webhook)
    assert (paused.paused_until, paused.pauses) == (now, 1)
    due = await api.ports.deliveries.due(now=now, limit=9, except_endpoints=[])
    assert {item.key for item in due} > {waiting.key}


async def test_a_recovery_that_makes_no_sense_names_the_field(api: Any):
    webhook = (await api.create())["id"]
    since = {"since": "2026-01-01T00:00:00Z"}
    broken: list[tuple[dict[str, Any], str]] = [
        ({}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"since": 0}, "since"),
        ({"since": "2026-01-02T00:00:00Z"}, "since"),
        ({**since, "until": "2025-01-01T00:00:00Z"}, "since"),
        ({**since, "cursor": "$gt"}, "cursor"),
        ({**since, "events": ["*"]}, "events"),
    ]
    for body, field in broken:
        error = await api.call("POST", f"/webhooks/{webhook}/recover", body, status=422)
        assert error["details"][0]["field"] == field
