"""Subscribers that hang, drip, refuse or take their time, beside healthy ones, as the deliverer process sees them.

`make test` judges by what has arrived while they hang. `make chaos` does it with ISOLATION_ENDPOINTS=1000,
compares how long the healthy ones wait with a run without the others, and does it again with a deliverer that
comes up to a long backlog of the hanging ones; what that adds is told, not judged.
"""

import asyncio
import base64
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import quantiles
from time import monotonic
from typing import Any

import pytest
from contracts.ids import new_id
from redis.asyncio import Redis
from service_kit.crypto import SecretBox
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.waiting import eventually
from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.adapters.mongo_endpoints import MongoEndpoints
from webhook_service.adapters.redis_bell import RedisBell
from webhook_service.domain.delivery import Delivery
from webhook_service.domain.endpoint import Endpoint, Secret, secret_owner
from webhook_service.testing.hanging import HANGING, Subscribers, kind, listening

pytestmark = pytest.mark.integration
ENDPOINTS = int(os.environ.get("ISOLATION_ENDPOINTS", "60"))
"""How many there are; a thousand and more: the long form."""
LONG = ENDPOINTS >= 1000
EVENTS, EVERY_SECONDS = (75, 0.4) if LONG else (24, 0.02)
GROUPS = 10 if LONG else 2
"""An event goes to the endpoints of one group."""
BACKLOG = 1000 if LONG else 50
"""Deliveries that each of the hanging ones has waiting from before."""
WORST_RATIO = 1.5
DATABASE = "webhook-service"
KEYS = "k1:" + base64.b64encode(bytes(32)).decode()
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()


@pytest.fixture
async def subscribers() -> AsyncIterator[Subscribers]:
    async with listening() as everybody:
        yield everybody


@dataclass
class Published:
    """When each event was published, and to whom."""

    at: dict[str, float] = field(default_factory=dict)
    to: dict[str, Sequence[int]] = field(default_factory=dict)


@dataclass
class Queue:
    """The deliverer's database, and what tells it of what is new, as the consumer does."""

    endpoints: MongoEndpoints
    deliveries: MongoDeliveries
    transactions: MongoTransactions
    bell: RedisBell
    make_endpoint: Callable[..., Endpoint]
    make_delivery: Callable[..., Delivery]
    ids: dict[int, str] = field(default_factory=dict)

    async def subscribe(self, numbers: Iterable[int], subscribers: Subscribers) -> None:
        box, made = SecretBox(KEYS), []
        for number in numbers:
            self.ids[number] = name = new_id("wh")
            secret = Secret(box.seal(SECRET, owner=secret_owner("acme", name)))
            made.append(self.make_endpoint(id=name, url=subscribers.url(number), secrets=(secret,)))
        for endpoint in made:
            await self.transactions.run(lambda tx, one=endpoint: self.endpoints.add(tx, one))

    def one(self, number: int, event_id: str, at: datetime) -> Delivery:
        campaign = "camp_" + event_id
        return self.make_delivery(
            self.ids[number], event_id=event_id, campaign_id=campaign, next_attempt_at=at, created_at=at
        )

    async def add(self, items: list[Delivery]) -> None:
        await self.transactions.run(lambda tx: self.deliveries.add(tx, items))

    async def fill(self, numbers: Sequence[int], count: int) -> None:
        """`count` deliveries to each of them, due for some minutes."""
        long_ago = datetime.now(UTC) - timedelta(minutes=5)
        for begin in range(0, count, 10):
            at = long_ago + timedelta(milliseconds=begin)
            await self.add([self.one(number, new_id("evt"), at) for number in numbers for _ in range(10)])

    async def publish(self, numbers: Sequence[int], events: int) -> Published:
        """`events` of them, each to a group of the endpoints."""
        groups = [[number for number in numbers if number // 10 % GROUPS == group] for group in range(GROUPS)]
        published = Published()
        for turn in range(events):
            event_id, began = new_id("evt"), monotonic()
            published.at[event_id], published.to[event_id] = began, groups[turn % GROUPS]
            await self.add(
                [self.one(number, event_id, datetime.now(UTC)) for number in groups[turn % GROUPS]]
            )
            await asyncio.sleep(max(0.0, EVERY_SECONDS - (monotonic() - began)))
        return published


@pytest.fixture
async def queue(
    mongo_client: Any, redis_url: str, make_endpoint: Any, make_delivery: Any
) -> AsyncIterator[Queue]:
    await mongo_client.drop_database(DATABASE)
    database, redis = mongo_client[DATABASE], Redis.from_url(redis_url)
    queue = Queue(
        MongoEndpoints(database), MongoDeliveries(database, record_seconds=5),
        MongoTransactions(mongo_client, timeout=10), RedisBell(redis), make_endpoint, make_delivery,
    )  # fmt: skip
    await queue.endpoints.prepare()
    await queue.deliveries.prepare(retention_days=30)
    yield queue
    await redis.aclose()
    await mongo_client.drop_database(DATABASE)


@pytest.fixture
def environment(mongo_url: str, kafka_bootstrap_servers: str, redis_url: str) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        admin_port = str(probe.getsockname()[1])
    return {
        **os.environ, "MONGO_URL": mongo_url, "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
        "REDIS_URL": redis_url, "ADMIN_PORT": admin_port, "ENCRYPTION_KEYS": KEYS,
        "JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough", "WEBHOOK_ALLOW_PRIVATE_NETWORKS": "true",
        "LOG_LEVEL": "WARNING", "WEBHOOK_DRAIN_SECONDS": "0",
    }  # fmt: skip


@dataclass
class Deliverer:
    """The process, as it comes: no setting of it is ours but where things are, and no patience at its end."""

    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "webhook_service", "deliverer",
                env=self.environment, stdout=output, stderr=output,
            )  # fmt: skip

    async def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            await asyncio.wait_for(self.process.wait(), 30)
            self.process = None


@asynccontextmanager
async def delivering(environment: dict[str, str], log: Path) -> AsyncIterator[Deliverer]:
    """A deliverer that runs."""
    deliverer = Deliverer(environment, log)
    await deliverer.start()
    try:
        yield deliverer
    finally:
        await deliverer.stop()
        print(await asyncio.to_thread(log.read_text))  # pytest shows it when the test failed


async def arrivals(
    queue: Queue, subscribers: Subscribers, numbers: Sequence[int], *, events: int
) -> list[float]:
    """Publish to `numbers`; how long each delivery that is not to hang took, once all of them have come."""
    published = await queue.publish(numbers, events)
    expected = {
        (number, event_id)
        for event_id, to in published.to.items()
        for number in to
        if not (subscribers.broken and kind(number) in HANGING)
    }

    async def missing() -> int:
        return len(expected - subscribers.arrived.keys())

    await eventually(missing, lambda count: count == 0, seconds=30 if LONG else 12, every=0.1)
    return [subscribers.arrived[item] - published.at[item[1]] for item in expected]


async def test_what_hangs_makes_nobody_else_wait(
    queue: Queue, subscribers: Subscribers, environment: dict[str, str], tmp_path: Path
) -> None:
    numbers = range(ENDPOINTS)
    healthy = [number for number in numbers if kind(number) == "healthy"]
    hanging = [number for number in numbers if kind(number) != "healthy"]
    await queue.subscribe(numbers, subscribers)
    log = tmp_path / "deliverer.log"
    async with delivering(environment, log) as deliverer:
        # What will hang is known as fast until then.
        await arrivals(queue, subscribers, hanging, events=2 * GROUPS)
        alone = await arrivals(queue, subscribers, healthy, events=EVENTS if LONG else GROUPS)
        subscribers.hang()
        if not LONG:
            await queue.fill(hanging, BACKLOG)
        beside = await arrivals(queue, subscribers, numbers, events=EVENTS)
        # They do hang: none of them has been answered for good, and they hold their connections.
        assert all(subscribers.asked[how] for how in ("silent", "dripping", "slow"))
        assert sum(subscribers.held[how] for how in ("silent", "dripping", "slow")) > 0
        behind = []
        if LONG:
            await deliverer.stop()
            await queue.fill(hanging, BACKLOG)
            await deliverer.start()
            behind = await arrivals(queue, subscribers, numbers, events=EVENTS)
    told = report({"alone": alone, "beside hanging ones": beside, "behind their backlog": behind})
    print(told)
    if LONG:
        assert p95(beside) <= WORST_RATIO * p95(alone), told


def p95(seconds: list[float]) -> float:
    return quantiles(seconds, n=20)[-1]


def report(runs: dict[str, list[float]]) -> str:
    """The figures, and how the p95 compare with the first one's."""
    first = p95(next(iter(runs.values())))
    return "; ".join(
        f"{name}: {len(found)} deliveries, p50 {quantiles(found, n=2)[0] * 1000:.0f} ms,"
        f" p95 {p95(found) * 1000:.0f} ms ({p95(found) / first:.2f} x)"
        for name, found in runs.items()
        if found
    )
