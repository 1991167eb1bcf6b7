"""Several replicas announce from the same marks, on real MongoDB."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from contracts.envelope import decode_as
from contracts.events.statistics import StatisticsUpdated
from stats_service.application.announce_statistics import announce_statistics
from stats_service.application.fold_batch import Batch, fold_batch
from stats_service.application.ports import Partition
from stats_service.application.read_fact import read_fact
from stats_service.bootstrap import Wiring
from stats_service.settings import Settings

pytestmark = pytest.mark.integration

PARTITION = Partition("delivery-events", 3)
SECRET = "a-secret-of-the-tests-that-is-long-enough"


async def test_replicas_that_announce_at_the_same_time_tell_of_each_campaign_once(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongo_url=mongo_url,
        jwt_secret=SECRET,
        jwt_algorithms=["HS256"],
    )
    wiring = Wiring(settings, database=mongo_database.name)
    await wiring.prepare()
    campaigns = sorted(f"camp_{number}" for number in range(30))
    told = [read_fact(events.window(campaign_id=one, execution_id=one)) for one in campaigns]
    await wiring.positions.read(PARTITION)
    await fold_batch(
        Batch(PARTITION, 0, 29, [(at, fact) for at, fact in enumerate(told) if fact]),
        transactions=wiring.transactions, positions=wiring.positions, ledger=wiring.ledger,
        attribution=timedelta(days=7),
    )  # fmt: skip

    async def replica() -> int:
        return await announce_statistics(
            transactions=wiring.transactions, announcements=wiring.numbers, prices=wiring.numbers,
            outbox=wiring.outbox, clock=wiring.clock, every_seconds=1000, limit=100, at_once=7,
        )  # fmt: skip

    assert sum(await asyncio.gather(*[replica() for _ in range(3)])) == 30
    rows = await mongo_database["outbox"].find({}).to_list(None)
    await wiring.close()
    announced = [decode_as(StatisticsUpdated, row["value"]) for row in rows]
    assert sorted(event.subject for event in announced) == campaigns
    assert {event.data.statistics.messages_sent for event in announced} == {1}
