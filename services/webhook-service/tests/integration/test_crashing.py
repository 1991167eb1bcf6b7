"""Deliverers and consumers die in the midst of it, by a seed; `tests/chaos` kills real processes for longer.

A dead deliverer here is one whose calls to the database are never made from then on, and whose requests stop
where they are: what a killed process leaves behind.
"""

import asyncio
import json
import os
from collections import defaultdict
from contextlib import AsyncExitStack, suppress
from random import Random
from typing import Any

import pytest
from aiohttp import web
from service_kit.errors import AlreadyHandled
from service_kit.testing.fakes import Died, DyingTransactions
from service_kit.testing.waiting import eventually
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.testing.delivering import Service

pytestmark = pytest.mark.integration
SEED = int(os.environ.get("SEED") or 8)
CAMPAIGNS, EVENTS, KILLS = 20, 4, 6
LEASE = 0.6


class Mortal:
    """The queue as a deliverer sees it, until that dies: then no call is made, and none returns."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.dead = inner, False

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            answer = None if self.dead else await method(*args, **kwargs)
            if self.dead:
                await asyncio.Event().wait()
            return answer

        return call


class Flaky:
    """A subscriber that refuses some deliveries a few times, by a seed, and notes all that arrive."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._refusals: dict[tuple[str, str], int] = {}
        self.arrived: list[tuple[str, str, int]] = []
        self.bodies: dict[tuple[str, str], set[bytes]] = defaultdict(set)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        key = (request.path, request.headers["webhook-id"])
        self.bodies[key].add(body)
        left = self._refusals.setdefault(key, self._random.choice([0, 0, 0, 1, 2]))
        self._refusals[key] = left - 1
        status = 500 if left > 0 and request.path == "/flaky" else 200
        self.arrived.append((*key, status))
        return web.Response(status=status)


@pytest.fixture
async def flaky() -> Any:
    subscriber = Flaky(Random(SEED))
    app = web.Application()
    app.router.add_post("/{tail:.*}", subscriber.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield subscriber, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def consume(service: Service, events: list[Any], random: Random) -> None:
    """As the consumer does, in batches; it dies now and then, and begins again at its last commit."""
    place = 0
    while place < len(events):
        batch = events[place : place + random.randint(1, 12)]
        dies = DyingTransactions(
            service.transactions, lives=random.choice([0, 5]), after=random.random() < 0.5
        )
        with suppress(Died, AlreadyHandled):
            await service.fans_out_by(dies)(*batch)
        for event in batch:
            with suppress(AlreadyHandled):
                await service.fan_out(event)
        place += len(batch)


class Deliverers:
    """Two at any time, until the end."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._running: list[tuple[Mortal, AsyncExitStack]] = []

    async def start(self) -> None:
        mortal, life = Mortal(self._service.deliveries), AsyncExitStack()
        await life.enter_async_context(
            self._service.delivering(
                schedule=(0.05,) * 9,
                lease=LEASE,
                through=lambda _: mortal,
                drain_seconds=0,  # type: ignore[arg-type,return-value]
            )
        )
        self._running.append((mortal, life))

    async def kill(self, number: int) -> None:
        mortal, life = self._running.pop(number)
        mortal.dead = True
        await life.aclose()

    async def end(self) -> None:
        while self._running:
            await self.kill(0)


def check(log: list[Delivery], arrived: list[tuple[str, int]]) -> None:
    """Each arrived, and what is recorded of it is what arrived, but for what died with its deliverer."""
    seen: dict[str, list[int]] = defaultdict(list)
    for event_id, status in arrived:
        seen[event_id].append(status)
    for item in log:
        recorded, came = [attempt.status_code for attempt in item.attempts], seen[item.event_id]
        assert recorded[-1] == 200 and recorded.count(200) == 1
        assert came.count(200) >= 1 and recorded.count(500) <= came.count(500)
        assert came.count(500) <= 2


def check_order(log: list[Delivery], arrived: list[tuple[str, int]]) -> None:
    """No event of a campaign came before the one before it had been taken."""
    known = {item.event_id: item for item in log}
    taken: dict[str, int] = defaultdict(int)
    for event_id, status in arrived:
        item = known[event_id]
        assert item.sequence <= taken[item.campaign_id] + 1, (item.campaign_id, item.sequence)
        if status == 200:
            taken[item.campaign_id] = max(taken[item.campaign_id], item.sequence)


async def test_whoever_dies_each_event_arrives_everywhere_in_order_where_asked_and_is_counted_right(
    mongo_client: Any, mongo_database: Any, make_endpoint: Any, make_event: Any, secret: str, flaky: Any
):
    subscriber, url = flaky
    random = Random(SEED)
    service = Service(mongo_client, mongo_database, make_endpoint, secret)
    await service.prepare()
    plain = await service.subscribe(f"{url}/plain")
    ordered = await service.subscribe(f"{url}/flaky", ordered=True)
    events = [make_event(f"camp_{c}", sequence=n + 1) for n in range(EVENTS) for c in range(CAMPAIGNS)]
    deliverers = Deliverers(service)
    for _ in range(2):
        await deliverers.start()
    consuming = asyncio.create_task(consume(service, events, random))
    for kill in range(1, KILLS + 1):
        limit = kill * len(events) // (KILLS + 1)
        await eventually(lambda: _count(subscriber), lambda count, limit=limit: count >= limit, every=0.01)
        await deliverers.kill(random.randrange(2))
        await deliverers.start()
    await consuming
    logs = {item.id: await service.settled(item, Status.SUCCEEDED, seconds=30) for item in (plain, ordered)}
    await deliverers.end()
    for endpoint, path in ((plain, "/plain"), (ordered, "/flaky")):
        arrived = [(event_id, status) for at, event_id, status in subscriber.arrived if at == path]
        assert {item.event_id for item in logs[endpoint.id]} == {event.id for event in events}
        check(logs[endpoint.id], arrived)
    check_order(
        logs[ordered.id],
        [(event_id, status) for at, event_id, status in subscriber.arrived if at == "/flaky"],
    )
    assert all(len(bodies) == 1 for bodies in subscriber.bodies.values())
    assert all(
        json.loads(body)["data"]["sequence"] for bodies in subscriber.bodies.values() for body in bodies
    )


async def _count(subscriber: Flaky) -> int:
    return len(subscriber.arrived)
