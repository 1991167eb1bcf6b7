"""`kill -9` of every part in the middle of an execution: everyone once, or counted unknown."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from demo.compare import REACHED

CONTACTS = 5000
SERVICE_PROCESSES = (
    "execution-worker", "execution-planner", "execution-relay", "execution-api", "campaign-api", "campaign-relay",
    "campaign-consumer", "stats-aggregator", "stats-relay", "stats-api", "webhook-consumer", "webhook-deliverer",
    "webhook-api",
)  # fmt: skip


async def assert_the_books_agree(world: Any, campaign_id: str, *, contacts: int, in_flight: int) -> None:
    """Compare Telegram's ledger, ours and the statistics; at most `in_flight` contacts may be unknown."""
    done = await world.until_completed(campaign_id, seconds=150)
    numbers = done["progress"]
    rows = await world.recipients(campaign_id)
    assert len({row["contactId"] for row in rows}) == len(rows) == contacts == numbers["total"]
    status = Counter(row["status"] for row in rows)
    assert {name: status[name] for name in ("successful", "failed", "skipped", "unknown")} == {
        name: numbers[name] for name in ("successful", "failed", "skipped", "unknown")
    }
    assert status["unknown"] <= in_flight

    reached = Counter(e["chat_id"] for e in await world.telegram_ledger() if e["outcome"] in REACHED)
    assert [chat for chat, times in reached.items() if times > 1] == []
    by_contact = {f"c{n:05d}": reached[world.chat(n)] for n in range(contacts)}
    wrong = [
        row for row in rows
        if (row["status"] == "successful" and by_contact[row["contactId"]] != 1)
        or (row["status"] in ("failed", "skipped") and by_contact[row["contactId"]] != 0)
    ]  # fmt: skip
    assert wrong == []

    definite = status["successful"] + status["failed"]
    statistics = await world.read(
        f"/campaigns/{campaign_id}/statistics", lambda seen: seen["overview"]["messagesSent"] >= definite
    )
    assert statistics["overview"]["messagesSent"] == definite
    assert statistics["overview"]["delivered"] == status["successful"]
    await world.read(
        f"/campaigns/{campaign_id}",
        lambda seen: seen["status"] == "completed" and seen["statistics"]["messagesSent"] == definite,
    )
    await world.until_types(campaign_id, {"campaign.created", "campaign.started", "campaign.completed"})


async def test_each_service_process_killed_in_turn_loses_and_doubles_nobody(world: Any):
    await world.telegram.patch("/config", json={"blocked_share": 0.02, "server_error_share": 0.01})
    await world.set_up(contacts=CONTACTS, rate=250)
    campaign_id, _ = await world.start_campaign()
    for number, name in enumerate(SERVICE_PROCESSES, 1):
        await world.until_processed(campaign_id, CONTACTS * number // (len(SERVICE_PROCESSES) + 2))
        await asyncio.to_thread(world.stack.kill, name)
    # The worker's slots reach half a second ahead: its open windows hold less than a second's worth.
    await assert_the_books_agree(world, campaign_id, contacts=CONTACTS, in_flight=250)


async def test_kafka_killed_in_the_middle_loses_and_doubles_nobody(world: Any):
    await world.set_up(contacts=CONTACTS, rate=1000)
    campaign_id, _ = await world.start_campaign()
    await world.until_processed(campaign_id, CONTACTS // 4)
    await asyncio.to_thread(world.stack.kill, "kafka")
    await assert_the_books_agree(world, campaign_id, contacts=CONTACTS, in_flight=0)


async def test_redis_emptied_in_the_middle_slows_and_nothing_else(world: Any):
    await world.set_up(contacts=CONTACTS, rate=1000)
    campaign_id, _ = await world.start_campaign()
    for part in (4, 2):
        await world.until_processed(campaign_id, CONTACTS // part)
        await world.flush_redis()
    await assert_the_books_agree(world, campaign_id, contacts=CONTACTS, in_flight=0)


@pytest.mark.parametrize("name", ["redis", "mongo"])
async def test_a_database_killed_in_the_middle_loses_and_doubles_nobody(world: Any, name: str):
    await world.set_up(contacts=2000, rate=500)
    campaign_id, _ = await world.start_campaign()
    await world.until_processed(campaign_id, 700)
    await asyncio.to_thread(world.stack.kill, name)
    # A database that was away longer than a shard's lease may leave its open windows unknown.
    await assert_the_books_agree(world, campaign_id, contacts=2000, in_flight=500)
