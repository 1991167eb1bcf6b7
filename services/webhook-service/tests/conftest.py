"""A subscriber for tests: a real HTTP server on loopback, and the objects that tests make."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
from aiohttp import web
from contracts.envelope import new_event
from contracts.events.campaign import CampaignCreated
from contracts.ids import lowest_id, new_id
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.domain.endpoint import Endpoint

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass
class Received:
    """One request as the subscriber saw it."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Sink:
    """A subscriber. `/status/<code>` answers so; `/hang` never; `/redirect` leads to /ok; all else is 200."""

    port: int = 0
    received: list[Received] = field(default_factory=list)
    answer_headers: dict[str, str] = field(default_factory=dict)
    answer_body: bytes = b"thanks"
    statuses: dict[str, int] = field(default_factory=dict)
    connections: set[object] = field(default_factory=set)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/ok", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [item for item in self.received if item.path == path]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.connections.add(request.transport)
        body = await request.read()
        self.received.append(Received(request.path, dict(request.headers), body))
        if request.path.startswith("/hang"):
            await self.released.wait()
        if request.path == "/redirect":
            return web.Response(status=302, headers={"Location": self.url("/ok")})
        if request.path in self.statuses:
            return web.Response(status=self.statuses[request.path])
        status = int(request.path.removeprefix("/status/")) if request.path.startswith("/status/") else 200
        return web.Response(status=status, body=self.answer_body, headers=self.answer_headers)


@pytest.fixture
async def sink() -> AsyncIterator[Sink]:
    """A subscriber that listens."""
    subscriber = Sink()
    app = web.Application(client_max_size=2**20)
    app.router.add_route("*", "/{tail:.*}", subscriber.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    subscriber.port = runner.addresses[0][1]
    yield subscriber
    subscriber.released.set()
    await runner.cleanup()


@pytest.fixture
def now() -> datetime:
    return NOW


@pytest.fixture
def secret() -> str:
    return SECRET


@pytest.fixture
def make_event() -> Callable[..., Any]:
    """An event `campaign.created` of the organisation acme; keyword arguments go to `new_event`."""

    def make(campaign_id: str = "camp_1", **changes: Any) -> Any:
        data = CampaignCreated(
            campaign_id=campaign_id,
            name="Été ☀️",
            type="message",
            status="draft",
            audience={"segments": ["s"]},
        )
        given = {"source": "/campaign-service", "org": "acme", "time": NOW, "sequence": 1, **changes}
        return new_event(data, subject=campaign_id, **given)

    return make


@pytest.fixture
def make_endpoint() -> Callable[..., Endpoint]:
    """An endpoint of acme that wants everything; keyword arguments change it."""

    def make(**changes: Any) -> Endpoint:
        plain = Endpoint(
            id=new_id("wh"), org="acme", url="https://example.com/", events=("*",), description="", active=True,
            secrets=(), created_at=NOW, updated_at=NOW,
        )  # fmt: skip
        return replace(plain, **changes)

    return make


@pytest.fixture
def make_delivery() -> Callable[..., Delivery]:
    """A delivery that is due at NOW; keyword arguments change it. Its id tells when it was made."""
    numbers = count()

    def make(endpoint_id: str = "wh_1", **changes: Any) -> Delivery:
        first = lowest_id("dlv", changes.get("created_at", NOW).timestamp())
        plain = Delivery(
            id=f"{first[:-6]}{next(numbers):06}", org="acme", endpoint_id=endpoint_id, event_id=new_id("evt"),
            event_type="campaign.created", campaign_id=new_id("camp"), sequence=1, body=b'{"type":"x"}',
            status=Status.PENDING, attempts=(), next_attempt_at=NOW, response_body=None, created_at=NOW,
        )  # fmt: skip
        return replace(plain, **changes)

    return make


@pytest.fixture
def unused_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
