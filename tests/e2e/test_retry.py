"""Retrying a campaign through the gateway: those who did not get it get it, and nobody else gets anything."""

from collections import Counter
from typing import Any

from service_kit.testing.waiting import eventually

CONTACTS = 120


async def statistics(world: Any, campaign_id: str, sent: int) -> dict[str, Any]:
    """The overview once so many messages were sent."""
    path = f"/campaigns/{campaign_id}/statistics"
    data: dict[str, Any] = await world.read(path, lambda seen: seen["overview"]["messagesSent"] == sent)
    return data["overview"]


async def delivered(world: Any) -> Counter[int]:
    rows = await world.telegram_ledger()
    return Counter(row["chat_id"] for row in rows if row["message_id"] is not None)


async def completed_run(world: Any, campaign_id: str, execution_id: str) -> dict[str, Any]:
    """The run in the list, once the campaign too has completed."""
    await world.read(f"/campaigns/{campaign_id}", lambda seen: seen["status"] == "completed")
    listed = await world.read(f"/campaigns/{campaign_id}/executions")
    return next(row for row in listed["executions"] if row["executionId"] == execution_id)


async def test_a_retry_reaches_those_it_names_and_the_numbers_stay_those_of_the_ledger(world: Any) -> None:
    blocked = [world.chat(number) for number in range(10)]
    missing = [world.chat(number) for number in range(10, 15)]
    await world.telegram.patch("/config", json={"blocked_chats": blocked, "not_found_chats": missing})
    await world.set_up(contacts=CONTACTS, rate=1000)
    campaign_id, first = await world.start_campaign()
    assert (await world.until_completed(campaign_id))["progress"]["failed"] == 15
    await completed_run(world, campaign_id, first)
    before = await delivered(world)
    await statistics(world, campaign_id, CONTACTS)

    await world.telegram.patch("/config", json={"blocked_chats": [], "not_found_chats": []})
    async with world.http("editor") as http:
        path, key = f"/campaigns/{campaign_id}/retry", {"Idempotency-Key": "again"}
        body = {"errorCodes": ["USER_BLOCKED"]}
        answer = await http.post(path, json=body, headers=key)
        assert answer.status_code == 200, answer.text
        second = answer.json()["data"]["executionId"]
        replayed = await http.post(path, json=body, headers=key)
        assert (replayed.json()["data"], replayed.headers["Idempotency-Replayed"]) == (
            answer.json()["data"], "true",
        )  # fmt: skip
        run = await completed_run(world, campaign_id, second)
        assert (run["retryOf"], run["targeted"], run["successful"]) == (first, 10, 10)
        assert await delivered(world) - before == Counter(blocked)

        # Nobody is blocked any more; the others can still be found.
        nobody = await http.post(path, json=body)
        assert (nobody.status_code, nobody.json()["error"]["code"]) == (422, "NOTHING_TO_RETRY")
        assert (await http.post(path, json={"statuses": ["successful"]})).status_code == 422
        rest = await http.post(path)
        third = rest.json()["data"]["executionId"]
        assert (await completed_run(world, campaign_id, third))["targeted"] == 5
    assert await delivered(world) == Counter(world.chat(number) for number in range(CONTACTS))

    # One message each, however often it was tried.
    async def overview() -> dict[str, Any]:
        return await statistics(world, campaign_id, CONTACTS)

    numbers = await eventually(overview, lambda seen: seen["delivered"] == CONTACTS, seconds=30)
    assert (numbers["messagesSent"], numbers["delivered"]) == (CONTACTS, CONTACTS)
    types = Counter(world.subscriber.types(campaign_id))
    await world.until_types(campaign_id, {"campaign.created", "campaign.started", "campaign.completed"})

    async def told() -> Counter[str]:
        return Counter(world.subscriber.types(campaign_id))

    types = await eventually(told, lambda seen: seen["campaign.completed"] >= 3, seconds=30)
    assert types["campaign.started"] == types["campaign.completed"] == 3


async def test_what_is_unknown_is_retried_when_it_is_named(world: Any) -> None:
    await world.telegram.patch("/config", json={"dropped_share": 1.0})
    await world.set_up(contacts=3, rate=100)
    campaign_id, first = await world.start_campaign()
    assert (await world.until_completed(campaign_id))["progress"]["unknown"] == 3
    await completed_run(world, campaign_id, first)
    await world.telegram.patch("/config", json={"dropped_share": 0})
    async with world.http("editor") as http:
        refused = await http.post(f"/campaigns/{campaign_id}/retry")
        assert refused.json()["error"]["code"] == "NOTHING_TO_RETRY"
        named = await http.post(f"/campaigns/{campaign_id}/retry", json={"statuses": ["unknown"]})
        execution_id = named.json()["data"]["executionId"]
    run = await completed_run(world, campaign_id, execution_id)
    assert (run["targeted"], run["successful"], run["retryOf"]) == (3, 3, first)
    assert (await statistics(world, campaign_id, 3))["delivered"] == 3
