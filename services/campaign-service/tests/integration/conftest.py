"""The API on a real database, with a scripted preflight."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import jwt
import pytest
from campaign_service.application.parts import ApiParts, ConsumerParts
from campaign_service.bootstrap import build_api_parts
from campaign_service.entrypoints.api.app import create_app
from campaign_service.settings import ApiSettings
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from pydantic import SecretStr
from service_kit.clock import SystemClock
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.mongo.transactions import MongoTransactions

BLACK_FRIDAY: dict[str, Any] = {
    "name": "Black Friday Campaign",
    "description": "Massive discounts for Black Friday",
    "type": "message",
    "goals": {"targetAudience": 20000, "conversionRate": 10, "revenue": 100000},
    "targetAudience": {"segments": ["seg789"], "filters": {"location": ["US"], "purchaseHistory": True}},
    "strategy": {"messaging": "Discounts", "timing": "Peak hours", "channels": ["telegram"]},
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


@pytest.fixture
async def parts(
    world: Any,
    mongo_client: AsyncIOMotorClient[dict[str, Any]],
    mongo_database: AsyncIOMotorDatabase[dict[str, Any]],
) -> ApiParts:
    """The API's parts on an empty database."""
    clock = SystemClock()
    keys = MongoIdempotencyKeys(mongo_database, clock=clock, lock_seconds=10, keep_seconds=60)
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
    settings = ApiSettings(
        kafka_bootstrap_servers="unused",
        mongo_url=SecretStr("mongodb://unused"),
        jwt_secret=SecretStr(SECRET),
        execution_service_url="http://unused",
        internal_token=SecretStr("unused"),
    )
    transport = httpx.ASGITransport(create_app(parts, settings), raise_app_exceptions=False)
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
