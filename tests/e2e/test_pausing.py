"""Pause and resume as users see them: through the gateway, with processes killed while nothing is to be sent."""

import asyncio
import time
from collections import Counter
from typing import Any

from demo.compare import REACHED
from service_kit.testing.waiting import eventually

CONTACTS, RATE = 750, 150
PROMISED = 2.0
"""Seconds after the answer to a pause in which the last message may be sent."""
LOOKED_AT = PROMISED + 0.5
"""Seconds after which it is looked whether it was."""
VICTIMS = (("execution-worker",), ("execution-planner", "execution-relay"))
"""Who is killed in each pause."""


async def last_send(world: Any) -> float:
    rows = await world.telegram_ledger()
    return float(max(row["at"] for row in rows))


async def test_pauses_stop_in_time_and_processes_killed_meanwhile_lose_and_double_nobody(world: Any) -> None:
    await world.set_up(contacts=CONTACTS, rate=RATE)
    campaign_id, execution_id = await world.start_campaign()
    api = world.api()
    for cycle, victims in enumerate(VICTIMS, 1):
        await world.until_processed(campaign_id, CONTACTS * cycle // 4)
        answer = await api.call("POST", f"/campaigns/{campaign_id}/pause")
        paused_at = time.time()
        assert answer["status"] == "paused"
        await world.read(f"/campaigns/{campaign_id}/progress", lambda seen: seen["status"] == "paused")
        for victim in victims:
            await asyncio.to_thread(world.stack.kill, victim)

        async def over(since: float = paused_at) -> bool:
            return time.time() - since > LOOKED_AT

        await eventually(over, bool, seconds=10)
        assert await last_send(world) - paused_at < PROMISED
        shown = await world.progress(campaign_id)
        assert (shown["status"], shown["executionId"], shown["currentRate"]) == ("paused", execution_id, 0)
        assert 0 < shown["progress"]["pending"] < CONTACTS
        assert (await api.call("POST", f"/campaigns/{campaign_id}/resume"))["status"] == "active"
    done = await world.until_completed(campaign_id)
    numbers = done["progress"]
    assert numbers["total"] == numbers["successful"] + numbers["unknown"] == CONTACTS
    assert numbers["unknown"] <= RATE  # the windows that the killed worker had open
    reached = Counter(row["chat_id"] for row in await world.telegram_ledger() if row["outcome"] in REACHED)
    assert set(reached.values()) == {1}
    assert numbers["successful"] <= len(reached) <= CONTACTS
    kinds = {f"campaign.{kind}" for kind in ("created", "started", "paused", "resumed", "completed")}
    await world.until_types(campaign_id, kinds)
    await api.close()


async def test_a_cancelled_campaign_stops_in_time_and_says_so(world: Any) -> None:
    await world.set_up(contacts=CONTACTS, rate=RATE)
    campaign_id, _ = await world.start_campaign()
    await world.until_processed(campaign_id, CONTACTS // 10)
    api = world.api()
    await api.call("POST", f"/campaigns/{campaign_id}/cancel")
    cancelled_at = time.time()
    shown = await world.read(f"/campaigns/{campaign_id}/progress", lambda seen: seen["status"] == "cancelled")
    assert shown["progress"]["pending"] > 0

    async def over() -> bool:
        return time.time() - cancelled_at > LOOKED_AT

    await eventually(over, bool, seconds=10)
    assert await last_send(world) - cancelled_at < PROMISED
    await api.close()
