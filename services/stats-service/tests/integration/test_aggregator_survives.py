"""The aggregator process on real Kafka and MongoDB, killed in the middle: the numbers equal a recount."""

import asyncio
import os
import random
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from contracts.catalogue import decode
from contracts.events.delivery import TallyRow
from contracts.events.statistics import CampaignStatistics
from contracts.ids import new_id
from service_kit.testing.waiting import eventually
from stats_service.adapters.book_keys import book_of, days_range, total_key
from stats_service.domain.dimensions import ALL, Kind

pytestmark = pytest.mark.integration

DATABASE = "stats-service"
SHARDS, WINDOWS = 4, 40
PRICE = 0.25
PATIENCE = 100
"""A process killed in a transaction leaves it open for up to a minute, and its successor waits for the documents."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Aggregator:
    """The process, and starting it again."""

    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "stats_service",
                "aggregator",
                env={**os.environ, **self.environment, **settings, "ADMIN_PORT": str(free_port())},
                stdout=log,
                stderr=log,
            )

    async def end(self, sign: signal.Signals) -> int:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(sign)
        return await asyncio.wait_for(self.process.wait(), 30)


@dataclass
class History:
    """Everything that happened in one campaign, and what it must add up to."""

    campaign: str
    events: list[tuple[str, bytes]] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)


def make_history(events: Any, seed: int) -> History:
    chance = random.Random(seed)
    history = History(new_id("camp"))
    execution = new_id("exec")
    ids = {"campaign_id": history.campaign, "execution_id": execution}
    history.events.append(("campaign-events", events.created(history.campaign)))
    history.events.append(("execution-events", events.planned(SHARDS, **ids)))
    history.totals["tasksTotal"] = SHARDS
    prices = [("audience-events", events.settings(price, revision=n)) for n, price in ((1, 9), (2, PRICE))]
    history.events += [*prices, *prices]
    for window in range(WINDOWS):
        for shard in range(SHARDS):
            rows = []
            for status, error in (("successful", None), ("failed", "USER_BLOCKED"), ("skipped", "X")):
                count = chance.randint(1, 20)
                minute = 29_000_000 + window // 20
                rows.append(
                    TallyRow(minute=minute, message_id="msg_1", status=status, error_code=error, count=count)
                )
                name = "delivered" if status == "successful" else status
                history.totals[name] += count
                history.totals["sent"] += count if status != "skipped" else 0
            last = window == WINDOWS - 1
            history.totals["tasksCompleted"] += last
            body = events.window(window, shard=shard, shard_completed=last, tally=rows, **ids)
            history.events.append(("delivery-events", body))
            if chance.random() < 0.2:
                history.events.append(("delivery-events", body))
    fail_mend_fail(history, events, ids)
    return history


def fail_mend_fail(history: History, events: Any, ids: dict[str, str]) -> None:
    """The execution fails a quarter through, and again at the end; the first failure is published twice."""
    first = ("execution-events", events.failed(3, failed_at=datetime(2026, 1, 1, tzinfo=UTC), **ids))
    second = ("execution-events", events.failed(1, failed_at=datetime(2026, 1, 2, tzinfo=UTC), **ids))
    history.events.insert(len(history.events) // 4, first)
    history.events += [second, first]
    history.totals["tasksFailed"] = 1


@pytest.fixture
async def aggregator(
    kafka_bootstrap_servers: str, mongo_url: str, mongo_client: Any, tmp_path: Path
) -> AsyncIterator[Aggregator]:
    await mongo_client.drop_database(DATABASE)
    aggregator = Aggregator(
        {
            "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
            "MONGO_URL": mongo_url,
            "JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough",
            "FOLD_BATCH": "7",
        },
        tmp_path / "aggregator.log",
    )
    yield aggregator
    print(aggregator.log.read_text(encoding="utf-8"))  # pytest shows it when the test failed
    if aggregator.process is not None:
        await aggregator.end(signal.SIGTERM)
    await mongo_client.drop_database(DATABASE)


@pytest.fixture
async def producer(kafka_bootstrap_servers: str) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap_servers, acks="all")
    await producer.start()
    yield producer
    await producer.stop()


async def test_killed_again_and_again_the_numbers_equal_a_recount(
    aggregator: Aggregator, producer: AIOKafkaProducer, mongo_client: Any, events: Any
) -> None:
    history = make_history(events, seed=7)
    totals = mongo_client[DATABASE]["totals"]
    key = total_key(book_of(history.campaign, 0), ALL)

    async def read() -> dict[str, int]:
        row = await totals.find_one({"_id": key}) or {}
        return {name: row.get(name, 0) for name in history.totals}

    async def publish(part: list[tuple[str, bytes]]) -> None:
        for topic, body in part:
            await producer.send(topic, body, key=history.campaign.encode())
        await producer.flush()

    quarter = len(history.events) // 4
    parts = [history.events[at : at + quarter] for at in range(0, len(history.events), quarter)]
    # The first life has Faust alone; the others also meet the group's wait for a member that died.
    lives = zip((signal.SIGKILL, signal.SIGTERM, signal.SIGKILL), ("600", "0.5", "0.5"), parts, strict=False)
    for sign, catch_up_seconds, part in lives:
        before = (await read())["sent"]
        await aggregator.start(CATCH_UP_SECONDS=catch_up_seconds)
        await publish(part)
        await eventually(read, partial(_more, before), seconds=PATIENCE, every=0.01)
        assert await aggregator.end(sign) == (0 if sign is signal.SIGTERM else -sign)
    await aggregator.start(CATCH_UP_SECONDS="0.5")
    await publish([item for part in parts[3:] for item in part])
    await eventually(read, lambda now: now == dict(history.totals), seconds=PATIENCE)
    await _the_days_and_the_last_announcement_agree(mongo_client[DATABASE], history)


def _more(before: int, now: dict[str, int]) -> bool:
    return now["sent"] > before


async def _the_days_and_the_last_announcement_agree(database: Any, history: History) -> None:
    start, stop = days_range(book_of(history.campaign, 0), Kind.ALL, 0, 10**6)
    rows = await database["days"].find({"_id": {"$gte": start, "$lt": stop}}).to_list(None)
    for metric in ("sent", "delivered", "failed", "skipped"):
        assert sum(sum(row[metric].values()) for row in rows) == history.totals[metric]

    async def last_told() -> tuple[int, float]:
        rows = await database["outbox"].find({"key": history.campaign}).to_list(None)
        told = [decode(bytes(row["value"])).data for row in rows]
        last = max(told, key=lambda data: data.revision).statistics if told else CampaignStatistics()
        return last.messages_sent, last.total_cost

    sent = history.totals["sent"]
    await eventually(last_told, lambda now: now == (sent, sent * PRICE))
