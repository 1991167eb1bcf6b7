"""`kill -9` of every service process, Redis emptied: everyone once, or counted unknown.

The deaths of Kafka, MongoDB and Redis are in the seeded faults.
"""

import asyncio
from collections import Counter
from typing import Any

from demo.compare import REACHED

CONTACTS = 2_500
SERVICE_PROCESSES = (
    "execution-worker", "execution-planner", "execution-relay", "execution-api", "campaign-api", "campaign-relay",
    "campaign-consumer", "stats-aggregator", "stats-relay", "stats-api", "webhook-relay", "webhook-consumer", "webhook-deliverer",
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


async def test_redis_emptied_in_the_middle_slows_and_nothing_else(world: Any):
    await world.set_up(contacts=CONTACTS, rate=1000)
    campaign_id, _ = await world.start_campaign()
    for part in (4, 2):
        await world.until_processed(campaign_id, CONTACTS // part)
        await world.flush_redis()
    await assert_the_books_agree(world, campaign_id, contacts=CONTACTS, in_flight=0)
