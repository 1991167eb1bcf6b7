"""How long deliveries are kept: from their ends, since one that still waits must not vanish."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from service_kit.mongo.transactions import MongoTransactions
from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.testing.store import Store

pytestmark = pytest.mark.integration


@pytest.fixture
async def rows(mongo_database: Any) -> Any:
    return mongo_database["deliveries"]


@pytest.fixture
async def kept(mongo_client: Any, mongo_database: Any, now: datetime) -> Store:
    deliveries = MongoDeliveries(mongo_database, record_seconds=1)
    await deliveries.prepare(retention_days=30)
    return Store(deliveries, MongoTransactions(mongo_client, timeout=10), now)


async def test_only_the_end_of_a_delivery_lets_it_expire(kept: Store, rows: Any):
    expiring = {
        name: index["expireAfterSeconds"]
        for name, index in (await rows.index_information()).items()
        if "expireAfterSeconds" in index
    }
    assert expiring == {"endedAt_1": 30 * 24 * 3600}


async def test_what_waits_has_no_end_and_whatever_ends_has_one_until_it_waits_again(
    kept: Store, rows: Any, make_delivery: Callable[..., Delivery], now: datetime
):
    async def end(item: Delivery) -> Any:
        return (await rows.find_one({"_id": item.key}))["endedAt"]

    waiting, tried, done, settled = (make_delivery() for _ in range(4))
    switched_off = make_delivery("wh_2")
    came_parked = make_delivery("wh_3", status=Status.PARKED, next_attempt_at=None)
    await kept.put(waiting, tried, done, settled, switched_off, came_parked)
    (claim,) = await kept.take(tried)
    await kept.record(claim, Status.PENDING, later=5)
    (claim,) = await kept.take(done)
    await kept.record(claim, Status.SUCCEEDED)
    began = datetime.now(UTC) - timedelta(seconds=60)
    assert await kept.deliveries.settle(await kept.take(settled), Status.PARKED) == 1
    assert await kept.deliveries.settle_all("wh_2", Status.FAILED) == 1
    assert [await end(item) for item in (waiting, tried, done, came_parked)] == [None, None, now, now]
    assert await end(settled) > began and await end(switched_off) > began
    await kept.deliveries.revive([settled.key, switched_off.key], now=now)
    assert await kept.deliveries.retry("wh_1", done.id, now=now)
    assert [await end(item) for item in (settled, switched_off, done)] == [None, None, None]


async def test_rows_of_before_expire_when_they_would_have_but_for_those_that_still_wait(
    mongo_database: Any, rows: Any, now: datetime
):
    await rows.create_index("createdAt", expireAfterSeconds=9**9)
    await rows.insert_many(
        [{"_id": status.value, "status": status.value, "createdAt": now} for status in Status]
    )
    for _ in range(2):
        await MongoDeliveries(mongo_database, record_seconds=1).prepare(retention_days=30)
    ends = {row["_id"]: row.get("endedAt") for row in await rows.find().to_list(None)}
    assert ends == {"pending": None, "parked": now, "succeeded": now, "failed": now}
    assert "createdAt_1" not in await rows.index_information()
