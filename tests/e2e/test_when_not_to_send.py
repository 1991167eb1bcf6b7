"""Quiet hours, budgets, caps, guard rails and suppression, as users of the API meet them."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

from service_kit.testing.waiting import eventually

HOUR = timedelta(hours=1)


async def settings(world: Any, **values: Any) -> dict[str, Any]:
    """Set the org's settings; how they are then."""
    api = world.api()
    answer: dict[str, Any] = await api.call("PUT", "/settings", json=values)
    await api.close()
    return answer


async def dry_run(world: Any, campaign_id: str) -> dict[str, Any]:
    """What an execution would do now."""
    api = world.api()
    answer: dict[str, Any] = await api.call(
        "POST", f"/campaigns/{campaign_id}/execute", json={"dryRun": True}
    )
    await api.close()
    return answer


async def drafted(world: Any, **definition: Any) -> str:
    """A campaign that nobody has started."""
    api = world.api()
    body = {
        "name": "Summer Sale Campaign",
        "targetAudience": {"segments": ["seg123"]},
        "messages": [{"content": "Hello {{firstName}}"}],
        **definition,
    }
    campaign = await api.call("POST", "/campaigns", json=body)
    await api.close()
    return str(campaign["id"])


async def call(world: Any, method: str, path: str, **body: Any) -> Any:
    """One request."""
    api = world.api()
    answer = await api.call(method, path, json=body)
    await api.close()
    return answer


async def delivered(world: Any) -> Counter[int]:
    """Chat → messages that Telegram took."""
    rows = await world.telegram_ledger()
    return Counter(row["chat_id"] for row in rows if row["message_id"] is not None)


async def skipped(world: Any, campaign_id: str) -> dict[str, int]:
    """Code → contacts that were skipped, by the ledger."""
    rows = await world.recipients(campaign_id)
    return dict(Counter(row["errorCode"] for row in rows if row["status"] == "skipped"))


async def test_who_sleeps_is_written_to_when_the_hours_end_and_nobody_before(world: Any) -> None:
    await world.set_up(contacts=30, rate=1000)
    now = datetime.now(UTC)
    quiet = {"from": f"{now - HOUR:%H:%M}", "to": f"{now + 2 * HOUR:%H:%M}"}
    await settings(world, quietHours=quiet, timezone="UTC", timezoneMode="recipient")
    awake = range(10)
    for number in awake:
        await call(world, "PUT", f"/contacts/c{number:05d}", timezone="Asia/Kolkata")
    campaign_id = await drafted(world)
    await call(world, "POST", f"/campaigns/{campaign_id}/execute")
    waits = await eventually(
        lambda: world.progress(campaign_id),
        lambda seen: seen["progress"]["successful"] == 10 and seen["waiting"]["count"] == 20,
        seconds=30,
    )
    assert waits["status"] == "running"
    until = datetime.fromisoformat(waits["waiting"]["until"])
    assert HOUR < until - now <= 2 * HOUR
    assert datetime.fromisoformat(waits["estimatedCompletion"]) >= until
    assert await delivered(world) == Counter(world.chat(number) for number in awake)
    # The organisation lifts its hours: nobody waits for what is over.
    assert (await settings(world, quietHours=None))["quietHours"] is None
    done = await world.until_completed(campaign_id, seconds=30)
    assert (done["progress"]["successful"], done["waiting"]) == (30, {"count": 0, "until": None})
    assert await delivered(world) == Counter(world.chat(number) for number in range(30))


async def test_a_dry_run_the_execution_and_the_bill_agree_and_a_second_campaign_meets_the_cap(
    world: Any,
) -> None:
    blocked = [world.chat(number) for number in range(2)]
    await world.telegram.patch("/config", json={"blocked_chats": blocked})
    await world.set_up(contacts=40, rate=1000)
    await settings(world, costPerMessage=0.1, currency="EUR", frequencyCap={"messages": 1, "hours": 24})
    for number in (2, 3, 4):
        await call(world, "PUT", f"/contacts/c{number:05d}", optedOut=True)
    await call(world, "PUT", "/contacts/c00005", firstName=None)
    campaign_id = await drafted(world, budget=2.05)
    foretold = await dry_run(world, campaign_id)
    expected = {"OPTED_OUT": 3, "MISSING_FIELD": 1, "BUDGET_EXHAUSTED": 16}
    assert (foretold["totalCount"], foretold["suppressed"]) == (40, expected)
    assert foretold["estimatedCost"] == 2.0

    await call(world, "POST", f"/campaigns/{campaign_id}/execute")
    numbers = (await world.until_completed(campaign_id))["progress"]
    assert (numbers["total"], numbers["skipped"], numbers["failed"]) == (40, 20, 2)
    assert await skipped(world, campaign_id) == expected
    first = await delivered(world)
    assert (sum(first.values()), set(first.values())) == (18, {1})
    shown = await world.read(
        f"/campaigns/{campaign_id}", lambda seen: seen["statistics"]["messagesSent"] == 20, seconds=30
    )
    assert shown["statistics"]["totalCost"] == 2.0

    # Who got that one, or has blocked the bot, gets no other one today.
    second = await drafted(world, messages=[{"content": "Hello {{firstName|there}}"}])
    audience = await world.read(
        f"/campaigns/{second}/audience", lambda seen: seen["suppressed"].get("BLOCKED") == 2, seconds=10
    )
    expected = {"OPTED_OUT": 3, "BLOCKED": 2, "FREQUENCY_CAP": 18}
    assert (audience["totalCount"], audience["suppressed"]) == (40, expected)
    assert (await dry_run(world, second))["suppressed"] == expected
    await call(world, "POST", f"/campaigns/{second}/execute")
    numbers = (await world.until_completed(second))["progress"]
    assert (numbers["successful"], numbers["skipped"]) == (17, 23)
    assert await skipped(world, second) == expected
    both = await delivered(world)
    assert (sum(both.values()), set(both.values())) == (35, {1})


async def test_an_execution_that_meets_refusals_only_is_held_and_says_why(world: Any) -> None:
    blocked = [world.chat(number) for number in range(300)]
    await world.telegram.patch("/config", json={"blocked_chats": blocked})
    await world.set_up(contacts=300, rate=100)
    await settings(world, guardRails={"blockedPercent": 10, "blockedOf": 50})
    campaign_id, _ = await world.start_campaign()
    held = await world.read(f"/campaigns/{campaign_id}", lambda seen: seen["status"] == "paused", seconds=30)
    assert held["pauseReason"]["code"] == "GUARD_BLOCKED"
    shown = await world.progress(campaign_id)
    assert (shown["status"], shown["progress"]["failed"]) == ("paused", shown["progress"]["processed"])
    assert 50 <= shown["progress"]["failed"] < 300
    await world.until_types(campaign_id, {"campaign.created", "campaign.started", "campaign.paused"})
    reasons = [
        event["data"]["reason"]["code"]
        for event in world.subscriber.verified
        if event["type"] == "campaign.paused" and event["data"]["campaignId"] == campaign_id
    ]
    assert set(reasons) == {"GUARD_BLOCKED"}
    # Somebody has looked into it and goes on.
    await world.telegram.patch("/config", json={"blocked_chats": []})
    await call(world, "POST", f"/campaigns/{campaign_id}/resume")
    done = (await world.until_completed(campaign_id))["progress"]
    assert done["successful"] == 300 - done["failed"] > 0
    assert (await world.read(f"/campaigns/{campaign_id}"))["pauseReason"] is None


async def test_what_cannot_be_meant_as_a_setting_is_told_by_field_and_changes_nothing(world: Any) -> None:
    bad: list[tuple[dict[str, Any], str]] = [
        ({"quietHours": {"from": "25:00", "to": "08:00"}}, "quietHours.from"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"costPerMessage": -1}, "costPerMessage"),
        ({"frequencyCap": {"messages": 0, "hours": 24}}, "frequencyCap.messages"),
        ({"guardRails": {"blockedPercent": 101}}, "guardRails.blockedPercent"),
        ({"colour": "red"}, "colour"),
    ]
    before = await world.read("/settings")
    async with world.http() as http:
        for body, field in bad:
            answer = await http.put("/settings", json={**body, "currency": "EUR"})
            assert answer.status_code == 422, (body, answer.text)
            assert field in {detail["field"] for detail in answer.json()["error"]["details"]}, answer.text
    assert await world.read("/settings") == before
    async with world.http("editor") as http:
        assert (await http.get("/settings")).status_code == 403
