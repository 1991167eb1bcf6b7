"""A replica dies at the moment of firing; another one looks. The execution begins exactly once."""

import asyncio
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from campaign_service.application.fire_schedules import fire_schedules
from campaign_service.application.parts import ApiParts
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Options
from motor.motor_asyncio import AsyncIOMotorDatabase
from service_kit.mongo.transactions import MongoTransactions
from service_kit.ports import Tx
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
VICTIM = Path(__file__).with_name("schedule_victim.py")
LATE = timedelta(minutes=5)


async def waiting(parts: ApiParts, world: Any, new_campaign: Callable[..., Campaign]) -> None:
    at = world.clock.now() + LATE
    campaign = new_campaign().schedule("exec_1", at, Options(), now=world.clock.now())

    async def work(tx: Tx) -> None:
        await parts.campaigns.add(tx, campaign)

    await parts.transactions.run(work)
    world.clock.advance(LATE.total_seconds())


@pytest.mark.parametrize("point", ["seen", "told", "committed"])
async def test_a_replica_killed_while_it_fires_leaves_one_beginning(
    parts: ApiParts,
    world: Any,
    new_campaign: Callable[..., Campaign],
    mongo_url: str,
    mongo_database: Database,
    mongo_client: Any,
    point: str,
) -> None:
    await waiting(parts, world, new_campaign)
    now = world.clock.now().isoformat()
    victim = await asyncio.create_subprocess_exec(
        sys.executable, str(VICTIM), mongo_url, mongo_database.name, now, point
    )
    assert await victim.wait() == -signal.SIGKILL

    async def look() -> list[str]:
        # The database may keep what the dead one's transaction wrote until its own limit ends that.
        await fire_schedules(
            campaigns=parts.campaigns,
            templates=parts.templates,
            transactions=MongoTransactions(mongo_client, timeout=30),
            outbox=parts.outbox,
            clock=world.clock,
        )
        rows = mongo_database["outbox"].find({"type": "campaign.started"})
        return [row["key"] async for row in rows]

    assert await eventually(look, bool, seconds=90) == ["camp_1"]
    assert await look() == ["camp_1"]
    stored = await parts.campaigns.get("acme", "camp_1")
    assert stored is not None and stored.runs("exec_1") and stored.version == 3
