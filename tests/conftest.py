"""A whole stack for black-box tests: everything through the gateway, as users see it.

By default a stack of the tests' own (folder and ports beside the developer's). The tests know the
services only by their HTTP answers, their process names and the simulator's ledger.
"""

import asyncio
import json
import os
import secrets
import signal
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpx
import pytest
from demo.api import Api
from demo.subscriber import Subscriber, listening
from devstack import secrets as stack_secrets
from devstack import table
from devstack.components import toxiproxy
from devstack.errors import StackError
from devstack.pytest_plugin import TRANSACTION_SECONDS
from devstack.settings import REPOSITORY, StackSettings
from devstack.stack import Stack
from redis.asyncio import Redis
from service_kit.testing.reading import Reading, firsts
from service_kit.testing.waiting import eventually

E2E_PORT_BASE = 15000


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in these two folders is an e2e test."""
    for item in items:
        if {"e2e", "chaos"} & set(item.path.parts):
            item.add_marker(pytest.mark.e2e)


def proxied() -> bool:
    """Whether the services can be parted from Kafka and Redis here: toxiproxy is built when Go is there."""
    try:
        toxiproxy.install(StackSettings().campaigns_cache)
    except StackError as error:
        warnings.warn(f"no partitions here: {error}", stacklevel=1)
        return False
    return True


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The running stack, empty at the start of the session."""
    base = int(os.environ.get("E2E_PORT_BASE", E2E_PORT_BASE))
    settings = StackSettings(
        stack_dir=REPOSITORY / ".stack" / f"e2e-{base}", stack_port_base=base, gateway_port=base + 300,
        kafka_bootstrap_servers=None, mongo_url=None, redis_url=None, telegram_api_base_url=None,
        stack_workers=3, stack_proxied=proxied(), stack_transaction_seconds=TRANSACTION_SECONDS,
    )  # fmt: skip
    running = Stack(settings)
    running.reset()
    running.up()
    try:
        yield running
    finally:
        running.down()


@dataclass
class World:
    """One org on the stack, with its own bot."""

    stack: Stack
    org: str
    telegram: httpx.AsyncClient
    subscriber: Subscriber
    bot_id: int
    token: str

    def api(self, role: str = "admin", org: str | None = None) -> Api:
        """The API as `role` of this org (or of another)."""
        environment = table.environment(self.stack.settings)
        token = stack_secrets.token(environment, org=org or self.org, role=role)
        return Api(self.stack.settings.gateway_url, token)

    def http(self, role: str | None = "admin", org: str | None = None) -> httpx.AsyncClient:
        """Plain HTTP, for tests of answers that are no success."""
        headers = {}
        if role:
            environment = table.environment(self.stack.settings)
            headers["Authorization"] = (
                f"Bearer {stack_secrets.token(environment, org=org or self.org, role=role)}"
            )
        base = f"{self.stack.settings.gateway_url}/api/v1"
        return httpx.AsyncClient(base_url=base, headers=headers, timeout=30, trust_env=False)

    async def set_up(self, *, contacts: int, rate: int) -> None:
        """A bot of `rate` per second, a segment, `contacts` contacts in it, a subscriber."""
        api = self.api()
        limits = {"perSecond": rate}
        await api.call("POST", "/bots", json={"name": "Bot", "token": self.token, "limits": limits})
        await api.call("POST", "/segments", json={"id": "seg123", "name": "Premium Users"})
        lines = (
            json.dumps(
                {
                    "id": f"c{n:05d}",
                    "telegramChatId": self.chat(n),
                    "firstName": f"N{n}",
                    "segments": ["seg123"],
                }
            )
            for n in range(contacts)
        )
        body = "\n".join(lines).encode()
        headers = {"Content-Type": "application/x-ndjson"}
        imported = await api.call("POST", "/contacts/import", content=body, headers=headers, timeout=120)
        assert imported["imported"] == contacts, imported
        endpoint = await api.call("POST", "/webhooks", json={"url": self.subscriber.url, "events": ["*"]})
        self.subscriber.secret = endpoint["secret"]
        await api.close()

    def chat(self, number: int) -> int:
        """The chat id of contact `number`: other worlds' chats are other ones."""
        return self.bot_id * 1000 + number

    async def start_campaign(self, **definition: Any) -> tuple[str, str]:
        """Create and execute a campaign for everybody; (campaign id, execution id)."""
        api = self.api()
        body = {
            "name": "Summer Sale Campaign",
            "targetAudience": {"segments": ["seg123"]},
            "messages": [{"content": "Hello {{firstName}}"}],
            **definition,
        }
        campaign = await api.call("POST", "/campaigns", json=body)
        started = await api.call("POST", f"/campaigns/{campaign['id']}/execute")
        await api.close()
        return campaign["id"], started["executionId"]

    async def read(self, path: str, good: Callable[[Any], bool] = lambda _: True, seconds: float = 60) -> Any:
        """`data` of GET `path` once it is `good`. A process that is just down is waited for."""
        async with self.http() as http:

            async def once() -> Any:
                try:
                    answer = await http.get(path)
                except httpx.TransportError as error:
                    return error
                return answer.json()["data"] if answer.status_code == 200 else answer

            def fine(seen: Any) -> bool:
                return not isinstance(seen, (httpx.Response, httpx.TransportError)) and good(seen)

            return await eventually(once, fine, seconds=seconds)

    async def progress(self, campaign_id: str) -> dict[str, Any]:
        """The campaign's progress, its equations checked."""
        data: dict[str, Any] = await self.read(f"/campaigns/{campaign_id}/progress")
        numbers = data["progress"]
        assert numbers["total"] == numbers["processed"] + numbers["pending"], numbers
        assert numbers["processed"] == sum(
            numbers[name] for name in ("successful", "failed", "skipped", "unknown")
        ), numbers
        return data

    async def until_processed(self, campaign_id: str, count: int, seconds: float = 90) -> dict[str, Any]:
        """Progress once at least `count` contacts have an outcome."""
        return await eventually(
            lambda: self.progress(campaign_id),
            lambda seen: seen["progress"]["processed"] >= count,
            seconds=seconds,
        )

    async def until_completed(self, campaign_id: str, seconds: float = 120) -> dict[str, Any]:
        """Progress once the execution has completed."""
        return await eventually(
            lambda: self.progress(campaign_id), lambda seen: seen["status"] == "completed", seconds=seconds
        )

    async def telegram_ledger(self) -> list[dict[str, Any]]:
        """What the simulator saw of this world's bot."""
        answer = await self.telegram.get("/ledger", params={"bot_id": self.bot_id})
        return [json.loads(line) for line in answer.text.splitlines() if line]

    async def recipients(self, campaign_id: str) -> list[dict[str, Any]]:
        """Our own ledger, person by person."""
        api = self.api()
        rows = await api.every(f"/campaigns/{campaign_id}/recipients", "recipients", limit=1000)
        await api.close()
        return rows

    async def until_types(self, campaign_id: str, types: set[str]) -> None:
        """Return once the subscriber has got exactly `types` for the campaign, signatures verified."""

        async def seen() -> set[str]:
            return set(self.subscriber.types(campaign_id))

        assert await eventually(seen, lambda got: got >= types, seconds=60) == types

    async def take_away(self, name: str, *, hang: bool) -> None:
        """Stop a program by SIGSTOP (it holds its connections and is silent), or by SIGKILL for good."""
        if hang:
            await asyncio.to_thread(self.stack.kill, name, signal.SIGSTOP)
        else:
            await asyncio.to_thread(self.stack.kill_for_good, name)

    async def give_back(self, name: str, *, hang: bool) -> None:
        """The end of `take_away`; returns at once from a hang, else when the program answers."""
        if hang:
            await asyncio.to_thread(self.stack.kill, name, signal.SIGCONT)
        else:
            await asyncio.to_thread(self.stack.start, name)

    async def flush_redis(self) -> None:
        """FLUSHALL."""
        client = Redis(host="127.0.0.1", port=self.stack.settings.redis_port)
        await client.flushall()
        await client.aclose()


NO_FAULTS = {
    "bot_per_second": 0, "paid_per_second": 0, "chat_per_second": 0, "group_per_minute": 0, "blocked_share": 0, "not_found_share": 0,
    "server_error_share": 0, "dropped_share": 0, "slow_share": 0, "burst_429_every_seconds": 0,
    "blocked_chats": [], "not_found_chats": [], "unauthorized_tokens": [],
}  # fmt: skip


@pytest.fixture
async def world(stack: Stack) -> AsyncIterator[World]:
    """A fresh org; the simulator without faults or limits."""
    simulator = table.telegram_url(stack.settings)
    async with (
        httpx.AsyncClient(base_url=simulator, timeout=60, trust_env=False) as telegram,
        listening() as sub,
    ):
        await asyncio.to_thread(stack.wait_healthy)
        (await telegram.patch("/config", json=NO_FAULTS)).raise_for_status()
        await telegram.delete("/ledger")
        bot_id = 100_000 + secrets.randbelow(900_000)
        token = f"{bot_id}:{secrets.token_hex(12)}"
        yield World(stack, f"org-{secrets.token_hex(4)}", telegram, sub, bot_id, token)


@dataclass
class KafkaOutage:
    """Kafka away while campaigns are created and changed."""

    world: World

    async def run(self, *, seconds: float, hang: bool) -> None:
        """Every write in `seconds` without Kafka succeeds; then all events are there, in order per campaign."""
        kafka = f"127.0.0.1:{self.world.stack.settings.kafka_port}"
        reading = await Reading(kafka, "campaign-events").begin()
        await self.world.take_away("kafka", hang=hang)
        try:
            async with self.world.http("editor") as http, asyncio.TaskGroup() as group:
                end = monotonic() + seconds
                writers = [group.create_task(self._write_until(end, http)) for _ in range(4)]
        finally:
            await self.world.give_back("kafka", hang=hang)
        expected = {key: versions for writer in writers for key, versions in writer.result().items()}
        assert len(expected) >= 4

        async def arrived() -> dict[str, list[int]]:
            values = await reading.values()
            return {
                key: [json.loads(value)["sequence"] for value in firsts(values.get(key, []))]
                for key in expected
            }

        assert await eventually(arrived, lambda seen: seen == expected, seconds=60, every=0.5) == expected
        # Who comes next does not wait behind what was made meanwhile.
        await reading.until_read_by(("execution-service", "webhook-consumer"), seconds=300)

    async def _write_until(self, end: float, http: httpx.AsyncClient) -> dict[str, list[int]]:
        """Campaigns, each created and then changed a few times; the versions that were acknowledged."""
        written: dict[str, list[int]] = {}
        while monotonic() < end:
            created = await http.post("/campaigns", json={"name": "Made while Kafka is away"})
            assert created.status_code == 201, created.text
            campaign_id = created.json()["data"]["id"]
            for number in range(2, 6):
                changed = await http.put(f"/campaigns/{campaign_id}", json={"name": f"Changed {number}"})
                assert changed.status_code == 200, changed.text
            written[campaign_id] = [1, 2, 3, 4, 5]
        return written


@pytest.fixture
def kafka_outage(world: World) -> KafkaOutage:
    """An outage of Kafka to let happen."""
    return KafkaOutage(world)
