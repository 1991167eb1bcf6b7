"""The API on a real database, with a scripted preflight: in process, and as a server of its own."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import httpx
import jwt
import pytest
import uvicorn
from campaign_service.application.parts import ApiParts, ConsumerParts
from campaign_service.bootstrap_api import build_api_parts
from campaign_service.entrypoints.api.app import create_app
from campaign_service.settings import ApiSettings
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pydantic import SecretStr
from service_kit.clock import Clock, SystemClock
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.mongo.client import connect
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.waiting import eventually

BLACK_FRIDAY: dict[str, Any] = {
    "name": "Black Friday Campaign",
    "description": "Massive discounts for Black Friday",
    "type": "message",
    "goals": {"targetAudience": 20000, "conversionRate": 10, "revenue": 100000},
    "targetAudience": {"segments": ["seg789"], "filters": {"location": ["US"], "purchaseHistory": True}},
    "strategy": {
        "messaging": "Discounts",
        "timing": "Peak hours",
        "channels": ["telegram"],
        "quietHours": {"from": "21:30", "to": "08:00"},
        "timezoneMode": "recipient",
    },
    "messages": [
        {
            "content": "🌞 Save 30% today, {{firstName|friend}}!",
            "parseMode": "HTML",
            "personalization": {"enabled": True, "fields": ["firstName", "lastPurchase"]},
            "variations": [{"content": "☀️ Hot deals!", "weight": 50}],
        }
    ],
    "workflow": {"name": "Flow", "triggers": ["manual", "scheduled"]},
    "abTests": [{"name": "Message Variation Test"}],
    "budget": 10000,
    "startDate": "2124-11-24T00:00:00Z",
    "endDate": "2124-12-01T01:59:59+02:00",
}
SECRET = "a-secret-of-at-least-thirty-two-bytes"
SETTINGS = ApiSettings(
    kafka_bootstrap_servers="unused",
    mongo_url=SecretStr("mongodb://unused"),
    jwt_secret=SecretStr(SECRET),
    execution_service_url="http://unused",
    internal_token=SecretStr("unused"),
)
T = TypeVar("T")


class RunningApi:
    """Serves `database` at `url` until `stop`. `call` runs a coroutine in the server's event loop."""

    def __init__(self, mongo_url: str, database: str, *, clock: Clock, preflight: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.client, self.parts, self.consumer_parts = self.call(
            self._wire(mongo_url, database, clock, preflight)
        )
        self.database = self.client[database]
        # A socket made here would lack TCP_NODELAY, and every answer would wait 40 ms.
        self._app = create_app(self.parts, SETTINGS)
        config = uvicorn.Config(self._app, port=0, log_level="warning", access_log=False)
        self._server = uvicorn.Server(config)
        self._serving: Future[None] = asyncio.run_coroutine_threadsafe(self._server.serve(), self._loop)
        self.url = f"http://127.0.0.1:{self.call(self._port())}/api/v1"

    async def _port(self) -> int:
        async def started() -> bool:
            return self._server.started

        await eventually(started, bool, every=0.01)
        port: int = self._server.servers[0].sockets[0].getsockname()[1]
        return port

    async def _wire(
        self, mongo_url: str, database: str, clock: Clock, preflight: Any
    ) -> tuple[AsyncIOMotorClient[dict[str, Any]], ApiParts, ConsumerParts]:
        client = connect(mongo_url, timeout_ms=10_000)
        keys = MongoIdempotencyKeys(
            client[database], clock=clock, lock_seconds=10, keep_seconds=60, wait_seconds=1
        )
        parts = await build_api_parts(
            client=client,
            database=client[database],
            idempotency=Idempotency(keys, MongoTransactions(client, timeout=10), 1),
            preflight=preflight,
            timeout_seconds=10,
            clock=clock,
        )
        inbox = MongoInbox(client[database], consumer="campaign-consumer", clock=clock)
        consumer_parts = ConsumerParts(
            parts.campaigns, parts.templates, parts.transactions, inbox, parts.outbox, clock
        )
        return client, parts, consumer_parts

    def routes(self) -> set[str]:
        """The paths that are served."""
        return set(self._app.openapi()["paths"])

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """The result of `work`."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def stop(self) -> None:
        """End the server and its thread."""
        self._server.should_exit = True
        self._serving.result(10)
        self.client.close()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


@pytest.fixture
def running_api(
    world: Any, mongo_url: str, mongo_database: AsyncIOMotorDatabase[dict[str, Any]]
) -> Iterator[RunningApi]:
    """The API as a server, on an empty database, with the world's clock."""
    running = RunningApi(mongo_url, mongo_database.name, clock=world.clock, preflight=world.preflight)
    yield running
    running.stop()


@pytest.fixture
async def parts(
    world: Any,
    mongo_client: AsyncIOMotorClient[dict[str, Any]],
    mongo_database: AsyncIOMotorDatabase[dict[str, Any]],
) -> ApiParts:
    """The API's parts on an empty database."""
    clock = SystemClock()
    keys = MongoIdempotencyKeys(mongo_database, clock=clock, lock_seconds=10, keep_seconds=60, wait_seconds=1)
    await keys.prepare()
    return await build_api_parts(
        client=mongo_client,
        database=mongo_database,
        idempotency=Idempotency(keys, MongoTransactions(mongo_client, timeout=10), 1),
        preflight=world.preflight,
        timeout_seconds=10,
        clock=clock,
    )


@pytest.fixture
async def consumer_parts(
    parts: ApiParts, mongo_database: AsyncIOMotorDatabase[dict[str, Any]]
) -> ConsumerParts:
    """The consumer's parts on the same database."""
    inbox = MongoInbox(mongo_database, consumer="campaign-consumer", clock=parts.clock)
    await inbox.prepare(retention_days=1)
    return ConsumerParts(
        parts.campaigns, parts.templates, parts.transactions, inbox, parts.outbox, parts.clock
    )


@pytest.fixture
def token() -> Callable[..., str]:
    """Makes a bearer token."""

    def make(role: str = "editor", org: str = "acme") -> str:
        now = int(time.time())
        claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": f"{role}-1", "org": org}
        return jwt.encode({**claims, "role": role, "iat": now, "exp": now + 600}, SECRET, algorithm="HS256")

    return make


@pytest.fixture
async def api(parts: ApiParts, token: Callable[..., str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API, an editor of acme."""
    transport = httpx.ASGITransport(create_app(parts, SETTINGS), raise_app_exceptions=False)
    headers = {"Authorization": f"Bearer {token()}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test/api/v1", headers=headers
    ) as client:
        yield client


@pytest.fixture
def black_friday() -> dict[str, Any]:
    """The contract's example of a campaign, complete."""
    return BLACK_FRIDAY


@pytest.fixture
def create(api: httpx.AsyncClient) -> Callable[..., Awaitable[str]]:
    """Creates that campaign, with the fields given changed; its id."""

    async def make(**changes: Any) -> str:
        answer = await api.post("/campaigns", json={**BLACK_FRIDAY, **changes})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["data"]["id"])

    return make
