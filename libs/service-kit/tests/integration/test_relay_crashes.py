"""The relay on real Kafka and MongoDB dies before and after every step; another one goes on.

Whatever died where: every committed event arrives, the first time in the order of `sequence`, and
nothing of a transaction that was rolled back.
"""

import asyncio
import random
import secrets
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from contracts.envelope import decode_as, new_event
from contracts.events.audience import AudienceEstimated
from service_kit.clock import SystemClock
from service_kit.mongo.lease import MongoLease
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import COLLECTION, MongoOutbox
from service_kit.outbox.relay import Relay
from service_kit.outbox.waiting_rows import MongoWaitingRows
from service_kit.ports import Tx
from service_kit.testing.reading import Reading, firsts
from service_kit.testing.relay_fakes import Died, FaultyStep, SteppingPublisher, Stepwise

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC = AudienceEstimated.topic.name
VICTIM = Path(__file__).with_name("relay_victim.py")
SEED = 20261125
CAMPAIGNS = 4


class Writer:
    """A service that changes its campaigns, one event per version."""

    def __init__(self, client: Any, database: Any) -> None:
        self._outbox = MongoOutbox(database, clock=SystemClock())
        self._transactions = MongoTransactions(client, timeout=10)
        self.versions = {f"camp_{secrets.token_hex(4)}": 0 for _ in range(CAMPAIGNS)}

    async def prepare(self) -> None:
        await self._outbox.prepare()

    async def write(self, each: int) -> None:
        """`each` new versions of every campaign, interleaved; with each a change that is rolled back."""
        for _ in range(each):
            for campaign in self.versions:
                self.versions[campaign] += 1
                await self._change(campaign, self.versions[campaign], commit=True)
                await self._change(campaign, 1000 + self.versions[campaign], commit=False)

    async def _change(self, campaign: str, version: int, *, commit: bool) -> None:
        data = AudienceEstimated(campaign_id=campaign, total_count=version, estimated_at=NOW)
        event = new_event(data, source="/t", subject=campaign, org="acme", time=NOW, sequence=version)

        async def work(tx: Tx) -> None:
            await self._outbox.add(tx, event)
            if not commit:
                raise RuntimeError("changed its mind")

        try:
            await self._transactions.run(work)
        except RuntimeError:
            assert not commit

    def assert_all_arrived(self, seen: dict[str, list[bytes]]) -> None:
        """Every version of every campaign, the first times in order, and nothing else."""
        for campaign, version in self.versions.items():
            events = [decode_as(AudienceEstimated, value) for value in firsts(seen.get(campaign, []))]
            assert [event.sequence for event in events] == list(range(1, version + 1)), campaign


@asynccontextmanager
async def relaying(database: Any, kafka: str, step: FaultyStep) -> AsyncIterator[Relay]:
    clock = SystemClock()
    publisher = SteppingPublisher(kafka, step=step)
    lease = MongoLease(database, name="relay", owner=secrets.token_hex(4), seconds=0.1, clock=clock)
    try:
        yield Relay(
            Stepwise(MongoWaitingRows(database, clock=clock), step),  # type: ignore[arg-type]
            publisher=publisher,
            lease=Stepwise(lease, step),  # type: ignore[arg-type]
            clock=clock, batch=8, poll_seconds=0, retry_seconds=0.02,
        )  # fmt: skip
    finally:
        await publisher.close()


async def until_empty(database: Any, kafka: str, step: FaultyStep) -> None:
    async with asyncio.timeout(20), relaying(database, kafka, step) as relay:
        while await database[COLLECTION].count_documents({}):
            await relay.turn()


async def points_of_a_whole_run(writer: Writer, database: Any, kafka: str) -> list[tuple[str, str, int]]:
    step = FaultyStep()
    await writer.write(each=3)
    await until_empty(database, kafka, step)
    assert {"acquire", "backlog", "page", "publish", "send", "remove"} == set(step.calls)
    return step.points()


def causes(error: BaseException) -> set[type[BaseException]]:
    """What is inside, however deep the task groups."""
    if isinstance(error, BaseExceptionGroup):
        return set().union(*(causes(inner) for inner in error.exceptions))
    return {type(error)}


async def relay_until_it_dies(writer: Writer, database: Any, kafka: str, point: tuple[str, str, int]) -> None:
    """A relay's life until `point`; the writer goes on until then."""
    async with relaying(database, kafka, FaultyStep(point)) as relay:
        for _ in range(200):
            await relay.turn()
            if not await database[COLLECTION].count_documents({}):
                await writer.write(each=3)


async def test_a_death_before_or_after_any_step_loses_and_reorders_nothing(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    reading = await Reading(kafka_bootstrap_servers, TOPIC).begin()
    writer = Writer(mongo_client, mongo_database)
    await writer.prepare()
    points = await points_of_a_whole_run(writer, mongo_database, kafka_bootstrap_servers)
    assert len(points) >= 20
    for point in points:
        await writer.write(each=3)
        with pytest.raises(BaseException) as caught:
            await relay_until_it_dies(writer, mongo_database, kafka_bootstrap_servers, point)
        assert causes(caught.value) == {Died}, point
        await writer.write(each=1)
        await until_empty(mongo_database, kafka_bootstrap_servers, FaultyStep())
    writer.assert_all_arrived(await reading.values())


async def test_processes_that_sigkill_ends_at_chosen_steps_lose_and_reorder_nothing(
    mongo_client: Any, mongo_database: Any, mongo_url: str, kafka_bootstrap_servers: str
):
    reading = await Reading(kafka_bootstrap_servers, TOPIC).begin()
    writer = Writer(mongo_client, mongo_database)
    await writer.prepare()
    points = await points_of_a_whole_run(writer, mongo_database, kafka_bootstrap_servers)
    names = sorted({name for name, _, _ in points})
    chosen = random.Random(SEED)
    for name in names:  # each step once: what waits grows from death to death
        point = chosen.choice([item for item in points if item[0] == name])
        await writer.write(each=3)
        arguments = [mongo_url, mongo_database.name, kafka_bootstrap_servers, *map(str, point)]
        victim = await asyncio.create_subprocess_exec(sys.executable, str(VICTIM), *arguments)
        async with asyncio.timeout(30):
            assert await victim.wait() == -signal.SIGKILL, point
    await until_empty(mongo_database, kafka_bootstrap_servers, FaultyStep())
    writer.assert_all_arrived(await reading.values())
