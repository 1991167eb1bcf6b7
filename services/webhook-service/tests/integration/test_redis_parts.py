"""What Redis does for delivery, and what is left without it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from service_kit.testing.waiting import eventually
from webhook_service.adapters.redis_bell import CHANNEL, RedisBell, listen
from webhook_service.adapters.redis_rates import RedisRates
from webhook_service.domain.delivery import Due

pytestmark = pytest.mark.integration
DUES = [Due("wh_1:evt_1", "wh_1", "camp_1", 3), Due("wh_2:evt_1", "wh_2", "", 0)]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client: Redis = Redis.from_url(redis_url, socket_timeout=5)
    yield client
    await client.aclose()


@pytest.fixture
async def nobody(unused_port: int) -> AsyncIterator[Redis]:
    client: Redis = Redis(host="127.0.0.1", port=unused_port, retry=Retry(NoBackoff(), 0))
    yield client
    await client.aclose()


async def test_every_deliverer_hears_what_is_due_and_nonsense_harms_none(redis: Redis):
    heard: list[list[Due]] = [[], []]

    def hear(number: int, dues: Sequence[Due]) -> None:
        heard[number] += dues

    listening = [
        asyncio.create_task(listen(redis, lambda dues, number=number: hear(number, dues)))
        for number in (0, 1)
    ]

    async def rung() -> list[list[Due]]:
        for nonsense in (b"{", b"[1]", b'[["a","b","c","d"]]'):
            await redis.publish(CHANNEL, nonsense)
        await RedisBell(redis).ring(DUES)
        return heard

    try:
        await eventually(rung, all, seconds=10)
        assert all(set(found) == set(DUES) for found in heard)
    finally:
        for task in listening:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def test_a_bell_that_nobody_hears_harms_nobody(nobody: Redis):
    bell = RedisBell(nobody)
    await bell.ring(DUES)
    await bell.ring(DUES)


async def test_processes_share_a_rate(redis: Redis):
    endpoint = f"wh_{id(redis)}"
    one, two = RedisRates(redis), RedisRates(redis)
    first = await one.take(endpoint, rate=10, wanted=5)
    assert (first.granted, 0 < first.wait_seconds <= 0.1) == (1, True)
    assert (await two.take(endpoint, rate=10, wanted=5)).granted == 0
    assert (await two.take("wh_other", rate=1000, wanted=5)).granted == 5
    later = await eventually(lambda: two.take(endpoint, rate=10, wanted=1), lambda got: got.granted > 0)
    assert later.granted == 1


async def test_without_redis_each_process_keeps_the_rate_by_itself(nobody: Redis):
    at = 100.0
    rates = RedisRates(nobody, clock=lambda: at)
    assert (await rates.take("wh_1", rate=10, wanted=5)).granted == 1
    assert (await rates.take("wh_1", rate=10, wanted=5)).granted == 0
    at += 0.2
    assert (await rates.take("wh_1", rate=10, wanted=1)).granted == 1
