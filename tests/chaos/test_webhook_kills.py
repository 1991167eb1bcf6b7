"""Webhooks while everything that they lean on is killed: 32 kills, 20,000 deliveries to four subscribers."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from chaos.webhooks import Hook, Hooks, Published, check
from contracts.envelope import encode, new_event
from contracts.events.campaign import CampaignUpdated
from demo.api import Api, DemoError
from devstack import secrets as stack_secrets
from devstack.pytest_plugin import TRANSACTION_SECONDS
from devstack.settings import REPOSITORY, StackSettings
from devstack.stack import Stack
from service_kit.testing.waiting import eventually

CAMPAIGNS, EVENTS = 250, 27
SECOND = "second deliverer"
KILLS = {"webhook-deliverer": 10, SECOND: 6, "webhook-consumer": 8, "kafka": 3, "mongo": 3, "redis": 2}
WAITS = (0.2,) * 9
ENVIRONMENT = {
    "WEBHOOK_RETRY_SCHEDULE_SECONDS": ",".join(map(str, WAITS)), "WEBHOOK_TIMEOUT_SECONDS": "5",
    "WEBHOOK_LEASE_SECONDS": "10.5", "WEBHOOK_BREAKER_FIRST_SECONDS": "0.05", "WEBHOOK_BREAKER_MOST_SECONDS": "0.2",
}  # fmt: skip
PROGRAMS = (
    "kafka",
    "mongo",
    "redis",
    "webhook-api",
    "webhook-relay",
    "webhook-consumer",
    "webhook-deliverer",
)
PATIENCE_SECONDS = 300


@pytest.fixture
def webhook_stack(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stack]:
    """Only what webhooks need, beside the stack of the other tests, with waits that a test can bear."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    base = int(os.environ.get("E2E_PORT_BASE", "15000")) + 500
    settings = StackSettings(
        stack_dir=REPOSITORY / ".stack" / f"webhooks-{base}", stack_port_base=base, gateway_port=base + 300,
        kafka_bootstrap_servers=None, mongo_url=None, redis_url=None, telegram_api_base_url=None,
        stack_transaction_seconds=TRANSACTION_SECONDS,
    )  # fmt: skip
    running = Stack(settings, only=PROGRAMS)
    running.reset()
    running.up()
    try:
        yield running
    finally:
        running.down()


class SecondDeliverer:
    """One more process than the stack runs."""

    def __init__(self, stack: Stack) -> None:
        port = str(stack.settings.port("webhook_deliverer_admin_port") + 50)
        self._environment = {**os.environ, **stack.environment(), "HOST": "127.0.0.1", "ADMIN_PORT": port}
        self._log = stack.settings.log_dir / "second-deliverer.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "webhook_service", "deliverer"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
async def second(webhook_stack: Stack) -> AsyncIterator[SecondDeliverer]:
    deliverer = SecondDeliverer(webhook_stack)
    deliverer.start()
    yield deliverer
    deliverer.kill()


async def publish(stack: Stack, org: str, said: list[Published]) -> None:
    """An event of each campaign at a time, and the next ones when Kafka has them all: in order, whoever dies."""
    for sequence in range(1, EVENTS + 1):
        waiting = {f"evt_{sequence:04d}{number:022d}": number for number in range(CAMPAIGNS)}
        while waiting:
            with suppress(KafkaError, OSError, TimeoutError):
                await _publish_some(stack, org, sequence, waiting, said)


async def _publish_some(
    stack: Stack, org: str, sequence: int, waiting: dict[str, int], said: list[Published]
) -> None:
    bootstrap = stack.environment()["KAFKA_BOOTSTRAP_SERVERS"]
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, request_timeout_ms=3000) as producer:
        for event_id, number in list(waiting.items()):
            campaign = f"camp_{number:026d}"
            data = CampaignUpdated(
                campaign_id=campaign,
                name="Été",
                type="message",
                status="draft",
                changed=["name"],
                audience={},
            )
            event = new_event(
                data, source="/chaos", subject=campaign, org=org, time=datetime.now(UTC), sequence=sequence,
                event_id=event_id,
            )  # fmt: skip
            await producer.send_and_wait("campaign-events", encode(event), key=campaign.encode())
            del waiting[event_id]
            said.append(Published(event_id, campaign, sequence))


async def subscribe(api: Api, hooks: Hooks) -> dict[str, str]:
    """Name of the hook → id of the endpoint."""
    changes: dict[str, dict[str, Any]] = {
        "plain": {}, "ordered": {"ordered": True}, "flaky": {"ordered": True},
        "never": {"campaignIds": [f"camp_{0:026d}"]},
    }  # fmt: skip
    ids = {}
    for name, more in changes.items():
        made = await api.call(
            "POST", "/webhooks", json={"url": f"{hooks.url}/{name}", "events": ["*"], **more}
        )
        hooks.hooks[name].secret, ids[name] = made["secret"], made["id"]
    return ids


async def kill_all(stack: Stack, second: SecondDeliverer, hooks: Hooks, random: Random) -> list[str]:
    """One after another, at moments that the seed decides, while deliveries arrive."""
    victims = [name for name, count in KILLS.items() for _ in range(count)]
    random.shuffle(victims)
    every = 3 * CAMPAIGNS * EVENTS // (len(victims) + 2)
    for place, victim in enumerate(victims, 1):
        limit = int(every * (place + random.uniform(-0.4, 0.4)))
        await eventually(
            lambda: _count(hooks), lambda count, limit=limit: count >= limit, seconds=PATIENCE_SECONDS
        )
        if victim == SECOND:
            await asyncio.to_thread(second.kill)
            second.start()
        else:
            await asyncio.to_thread(stack.wait_healthy, [victim])
            await asyncio.to_thread(stack.kill, victim)
    return victims


async def _count(hooks: Hooks) -> int:
    return hooks.count


async def settled(api: Api, endpoint_id: str) -> list[dict[str, Any]]:
    """The log of an endpoint, once nothing of it is pending. The API may be away for a moment."""

    async def pending() -> int:
        try:
            page = await api.call(
                "GET", f"/webhooks/{endpoint_id}/deliveries", params={"status": "pending", "limit": 1}
            )
        except (httpx.HTTPError, DemoError):
            return -1
        return len(page["deliveries"])

    await eventually(pending, lambda count: count == 0, seconds=PATIENCE_SECONDS, every=0.5)
    found: list[dict[str, Any]] = await api.every(
        f"/webhooks/{endpoint_id}/deliveries", "deliveries", limit=100
    )
    return found


async def all_arrived(hook: Hook, events: int) -> None:
    """Wait until so many different ones have."""

    async def different() -> int:
        return len({event_id for event_id, _ in hook.arrived})

    await eventually(different, lambda count: count >= events, seconds=PATIENCE_SECONDS, every=0.5)


async def test_every_event_reaches_every_subscriber_in_order_where_asked_and_is_counted_right(
    webhook_stack: Stack, second: SecondDeliverer
) -> None:
    seed = int(os.environ.get("SEED") or secrets.randbelow(1_000_000))
    print(f"seed {seed}")
    named = {
        "plain": Hook(),
        "ordered": Hook(),
        "flaky": Hook(refuses=(0, 0, 0, 0, 1, 2)),
        "never": Hook(never=True),
    }
    org, said = f"org-{secrets.token_hex(4)}", list[Published]()
    token = stack_secrets.token(webhook_stack.environment(), org=org, role="admin")
    async with Hooks(named, seed).listening() as hooks:
        api = Api(f"http://127.0.0.1:{webhook_stack.settings.webhook_api_port}", token)
        ids = await subscribe(api, hooks)
        publishing = asyncio.create_task(publish(webhook_stack, org, said))
        killed = await kill_all(webhook_stack, second, hooks, Random(seed))
        await publishing
        assert len(killed) >= 30 and len(said) == CAMPAIGNS * EVENTS
        for name, endpoint_id in ids.items():
            events = [event for event in said if name != "never" or event.campaign_id == f"camp_{0:026d}"]

            await all_arrived(named[name], len(events))
            log = await settled(api, endpoint_id)
            in_order = name in ("ordered", "flaky")
            found = check(name, hooks, events, log, ordered=in_order, attempts=len(WAITS) + 1)
            print(f"{name}: {len(log)} deliveries, {found}")
        await api.close()
