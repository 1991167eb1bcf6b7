"""The Endpoints port, in memory and on MongoDB: one suite, so that unit tests may trust the fake."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.fakes import InMemoryTransactions
from webhook_service.adapters.mongo_endpoints import MongoEndpoints
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.health import SILENCE, Report
from webhook_service.testing.fakes import InMemoryEndpoints

pytestmark = pytest.mark.integration
FAILED = Report(failing=True, troubles=1)
SUCCEEDED = Report(succeeded=True, calmed=True)
MOVED = "https://moved.example/"


class Store:
    """The port and its transactions."""

    def __init__(self, endpoints: Any, transactions: Any) -> None:
        self.endpoints, self.transactions = endpoints, transactions

    async def put(self, endpoint: Endpoint) -> Endpoint:
        await self.transactions.run(lambda tx: self.endpoints.add(tx, endpoint))
        return endpoint

    async def save(self, before: Endpoint, *, afresh: bool, **changes: Any) -> None:
        after = replace(before, version=before.version + 1, **changes)
        await self.transactions.run(
            lambda tx: self.endpoints.save(tx, after, expected_version=before.version, afresh=afresh)
        )

    async def disable(self, endpoint: Endpoint, now: datetime) -> Endpoint | None:
        found: Endpoint | None = await self.transactions.run(
            lambda tx: self.endpoints.disable(tx, endpoint, reason=DisabledReason.GONE, now=now)
        )
        return found

    async def stored(self, endpoint: Endpoint) -> Endpoint:
        found: Endpoint | None = await self.endpoints.find(endpoint.org, endpoint.id)
        assert found is not None
        return found


@pytest.fixture
async def store(mongo: tuple[Any, Any] | None) -> Store:
    if mongo is None:
        return Store(InMemoryEndpoints(), InMemoryTransactions())
    return Store(MongoEndpoints(mongo[1]), MongoTransactions(mongo[0], timeout=10))


async def test_only_what_is_on_and_has_the_same_url_is_switched_off(
    store: Store, make_endpoint: Callable[..., Endpoint], now: datetime
):
    endpoint = await store.put(make_endpoint())
    assert await store.disable(replace(endpoint, url=MOVED), now) is None
    assert (await store.stored(endpoint)).active
    after = await store.disable(endpoint, now)
    assert after == await store.stored(endpoint)
    assert (after.active, after.disabled_reason, after.version) == (False, DisabledReason.GONE, 2)
    assert await store.disable(endpoint, now) is None
    assert await store.disable(make_endpoint(), now) is None


async def test_failing_begins_with_the_first_failure_and_anew_after_a_success_or_a_silence(
    store: Store, make_endpoint: Callable[..., Endpoint], now: datetime
):
    endpoint = await store.put(make_endpoint())

    async def since(report: Report, days: float) -> datetime | None:
        after: Endpoint = await store.endpoints.note(endpoint, report, now=now + timedelta(days=days))
        return after.failing_since

    assert await since(FAILED, 0) == now
    assert await since(FAILED, 2) == now
    assert await since(FAILED, 4) == now
    assert timedelta(days=2) <= SILENCE < timedelta(days=3)
    assert await since(FAILED, 7) == now + timedelta(days=7)
    assert await since(SUCCEEDED, 8) is None
    assert await since(FAILED, 9) == now + timedelta(days=9)
    assert (await store.stored(endpoint)).failures == 1
    await store.endpoints.heal([endpoint.id], now=now + timedelta(days=10))
    healed = await store.stored(endpoint)
    at = now + timedelta(days=10)
    assert (healed.failing_since, healed.failures, healed.last_success_at) == (None, 0, at)
    await store.endpoints.heal([endpoint.id, "wh_none"], now=now + timedelta(days=11))
    assert (await store.stored(endpoint)).last_success_at == at


async def test_what_an_earlier_url_answered_is_neither_noted_nor_a_reason_to_pause(
    store: Store, make_endpoint: Callable[..., Endpoint], now: datetime
):
    endpoint = await store.put(make_endpoint())
    earlier = replace(endpoint, url=MOVED)
    assert await store.endpoints.note(earlier, FAILED, now=now) is None
    assert not await store.endpoints.pause(earlier, until=now, again=True)
    assert await store.stored(endpoint) == endpoint
    assert await store.endpoints.pause(endpoint, until=now, again=True)


async def test_what_begins_afresh_is_calm_and_keeps_its_last_success(
    store: Store, make_endpoint: Callable[..., Endpoint], now: datetime
):
    endpoint = await store.put(make_endpoint())
    await store.endpoints.note(endpoint, SUCCEEDED, now=now)
    after = await store.endpoints.note(endpoint, FAILED, now=now)
    assert await store.endpoints.pause(after, until=now, again=True)
    await store.save(endpoint, afresh=False, ordered=True)
    kept = await store.stored(endpoint)
    assert (kept.ordered, kept.failures, kept.pauses, kept.paused_until) == (True, 1, 1, now)
    await store.save(kept, afresh=True, url=MOVED)
    fresh = await store.stored(endpoint)
    assert (fresh.failures, fresh.pauses, fresh.paused_until, fresh.failing_since) == (0, 0, None, None)
    assert (fresh.url, fresh.last_success_at) == (MOVED, now)
