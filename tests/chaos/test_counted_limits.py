"""Workers killed again and again: the budget is used up and never passed, and nobody gets more than the cap."""

import asyncio
from collections import Counter
from typing import Any

from demo.compare import REACHED

CONTACTS = 1_500
WORKERS = ("execution-worker", "execution-worker-2", "execution-worker-3")


async def kill_while(world: Any, campaign_id: str, *counts: int) -> None:
    """Kill a worker whenever so many contacts have an outcome."""
    for number, count in enumerate(counts):
        await world.until_processed(campaign_id, count)
        await asyncio.to_thread(world.stack.kill, WORKERS[number % len(WORKERS)])


async def reached(world: Any) -> Counter[int]:
    """How often each chat got a message."""
    return Counter(row["chat_id"] for row in await world.telegram_ledger() if row["outcome"] in REACHED)


async def test_killed_workers_pass_neither_the_budget_nor_the_frequency_cap(world: Any) -> None:
    await world.telegram.patch("/config", json={"blocked_share": 0.05, "server_error_share": 0.02})
    await world.set_up(contacts=CONTACTS, rate=200)
    api = world.api()
    await api.call("PUT", "/settings", json={"costPerMessage": 0.3})
    first, _ = await world.start_campaign(budget=270.1)
    await kill_while(world, first, 100, 300, 500, 700)
    done = await world.until_completed(first, seconds=180)
    numbers = done["progress"]
    assert numbers["successful"] + numbers["failed"] + numbers["unknown"] == 900
    assert numbers["unknown"] <= 4 * 100
    assert numbers["skipped"] == CONTACTS - 900
    before = await reached(world)
    assert max(before.values()) == 1
    assert numbers["successful"] <= sum(before.values()) <= 900

    await world.telegram.patch("/config", json={"blocked_share": 0, "server_error_share": 0})
    await api.call("PUT", "/settings", json={"frequencyCap": {"messages": 1, "hours": 24}})
    second, _ = await world.start_campaign()
    third, _ = await world.start_campaign()
    await kill_while(world, second, 200, 500, 800)
    ended = [(await world.until_completed(name, seconds=180))["progress"] for name in (second, third)]
    after = await reached(world) - before
    assert max(after.values()) == 1
    unknown = sum(one["unknown"] for one in ended)
    assert sum(one["successful"] for one in ended) <= len(after)
    # Who could not be reached by the first campaign is not written to; everybody else was once, or perhaps was.
    suppressed = [row for row in await world.recipients(second) if row["errorCode"] == "BLOCKED"]
    assert len(after) >= CONTACTS - len(suppressed) - unknown
    await api.close()
