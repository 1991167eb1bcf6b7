"""A replica that fires schedules and kills itself with SIGKILL on the way.

python schedule_victim.py <mongo url> <database> <time> seen|told|committed
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import TypeVar

from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.adapters.mongo_templates import MongoTemplates
from campaign_service.application.fire_schedules import fire_schedules
from contracts.envelope import AnyEvent
from service_kit.mongo.client import connect
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock

T = TypeVar("T")


def die_at(point: str) -> None:
    if sys.argv[4] == point:
        os.kill(os.getpid(), signal.SIGKILL)


class Campaigns(MongoCampaigns):
    """Dies once it has seen what is due."""

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        found = await super().due(now, limit=limit)
        assert found
        die_at("seen")
        return found


class Outbox(MongoOutbox):
    """Dies when state and event are written and not committed."""

    async def add(self, tx: Tx, *events: AnyEvent) -> None:
        await super().add(tx, *events)
        die_at("told")


class Transactions(MongoTransactions):
    """Dies just after the commit."""

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        result = await super().run(work)
        die_at("committed")
        return result


async def main(url: str, database_name: str, now: str) -> None:
    client = connect(url, timeout_ms=5000)
    database, clock = client[database_name], FixedClock(datetime.fromisoformat(now))
    await fire_schedules(
        campaigns=Campaigns(database),
        templates=MongoTemplates(database),
        transactions=Transactions(client, timeout=10),
        outbox=Outbox(database, clock=clock),
        clock=clock,
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4]))
