"""The limiter: no second holds more slots than the rate, and few are left unused."""

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator

import pytest
from execution_service.adapters.redis_limiter import RedisLimiter
from execution_service.application.ports_sending import GRANT_SECONDS, LimiterUnavailable
from redis.asyncio import Redis

pytestmark = pytest.mark.integration


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A connection."""
    client: Redis = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def bot() -> int:
    """A bot of this test's own."""
    return secrets.randbelow(10**12) + 10**6


async def reserve_until(
    limiter: RedisLimiter,
    bot: int,
    end: float,
    *,
    rate: float,
    share: str = "exec_1",
    weight: int = 2,
    stalls: list[float] | None = None,
) -> list[float]:
    """A greedy worker: reserves as much as it gets until `end`, and does not run ahead of its slots.

    `stalls` hears how much later than asked for this process was woken: a machine with other work.
    """
    loop, slots = asyncio.get_running_loop(), []
    while loop.time() < end:
        grant = await limiter.reserve(bot, per_second=rate, wanted=200, share=share, weight=weight)
        slots.extend(grant.slots)
        pause = max(0.0, grant.slots[-1] - loop.time()) if grant.slots else grant.wait
        until = loop.time() + pause
        await asyncio.sleep(pause)
        if stalls is not None:
            stalls.append(loop.time() - until)
    return slots


def most_in_a_second(slots: list[float]) -> int:
    """The greatest number of slots in any half-open second; a microsecond of rounding is forgiven."""
    slots = sorted(slots)
    begin = most = 0
    for end, slot in enumerate(slots):
        while slot - slots[begin] >= 1 - 2e-6:
            begin += 1
        most = max(most, end - begin + 1)
    return most


@pytest.fixture
async def limiter(redis: Redis) -> RedisLimiter:
    """One that knows the server's clock well: the slots that it answers are exact then."""
    limiter = RedisLimiter(redis)
    for _ in range(50):
        await limiter.reserve(1, per_second=30, wanted=1, share="exec_0", weight=2)
    return limiter


@pytest.mark.parametrize("rate", [30, 1_000])
async def test_four_workers_never_exceed_the_rate_and_use_nearly_all_of_it(
    limiter: RedisLimiter, bot: int, rate: int
) -> None:
    end = asyncio.get_running_loop().time() + 2.6
    stalls: list[float] = []
    jobs = [reserve_until(limiter, bot, end, rate=rate, stalls=stalls) for _ in range(4)]
    slots = sorted(slot for part in await asyncio.gather(*jobs) for slot in part)
    assert most_in_a_second(slots) <= rate + 1
    used = [slot for slot in slots if slots[0] <= slot < slots[0] + 1.2]
    # Nobody can use what passes while no worker runs; a few milliseconds are the event loop's own.
    asleep = sum(late for late in stalls if late > 0.02)
    assert len(used) >= 0.97 * rate * (1.2 - asleep)


async def test_executions_share_the_rate_by_their_priorities_however_many_workers_they_have(
    limiter: RedisLimiter, bot: int
) -> None:
    workers = [("low", 1)] * 5 + [("normal", 2)] * 2 + [("high", 4)] * 3
    end = asyncio.get_running_loop().time() + 3
    jobs = [
        reserve_until(limiter, bot, end, rate=400, share=share, weight=weight) for share, weight in workers
    ]
    counts = {"low": 0, "normal": 0, "high": 0}
    for (share, _), slots in zip(workers, await asyncio.gather(*jobs), strict=True):
        counts[share] += len(slots)
    total = sum(counts.values())
    assert total >= 0.9 * 400 * 2  # the first second of a new bot is empty
    # What start-time fair queueing promises at every moment, however short the run: two shares' service
    # per weight differs by no more than one grant of each. Without weights it would be 225 here.
    grant, weights = 400 * GRANT_SECONDS, {"low": 1, "normal": 2, "high": 4}
    for one, other in itertools.combinations(weights, 2):
        apart = abs(counts[one] / weights[one] - counts[other] / weights[other])
        assert apart <= grant / weights[one] + grant / weights[other], counts


async def test_an_execution_alone_gets_the_whole_rate_whatever_its_priority(
    limiter: RedisLimiter, bot: int
) -> None:
    end = asyncio.get_running_loop().time() + 2.5
    jobs = [reserve_until(limiter, bot, end, rate=400, weight=1) for _ in range(3)]
    slots = sorted(slot for part in await asyncio.gather(*jobs) for slot in part)
    assert sum(slot < slots[0] + 1 for slot in slots) >= 390


async def test_an_emptied_limiter_starts_empty(redis: Redis, limiter: RedisLimiter, bot: int) -> None:
    loop = asyncio.get_running_loop()

    async def first_slots() -> list[float]:
        while True:
            grant = await limiter.reserve(bot, per_second=100, wanted=10, share="exec_1", weight=4)
            if grant.slots:
                return list(grant.slots)
            await asyncio.sleep(grant.wait)

    before = await first_slots()
    emptied = loop.time()
    await redis.delete(*[key async for key in redis.scan_iter(f"*{bot}*")])
    after = await first_slots()
    assert after[0] - emptied >= 0.99
    assert most_in_a_second(before + after) <= 100


async def test_a_silenced_bot_gets_no_slots_until_its_time(limiter: RedisLimiter, bot: int) -> None:
    loop = asyncio.get_running_loop()
    await limiter.reserve(bot, per_second=100, wanted=1, share="exec_1", weight=2)
    await limiter.block(bot, 2)
    silent_until = loop.time() + 2
    await limiter.block(bot, 0.1)  # a shorter one does not shorten it
    while True:
        grant = await limiter.reserve(bot, per_second=100, wanted=5, share="exec_1", weight=2)
        if grant.slots:
            break
        await asyncio.sleep(min(grant.wait, 0.1))
    assert grant.slots[0] >= silent_until - 0.02


async def test_without_redis_nothing_is_granted(bot: int) -> None:
    nobody: Redis = Redis.from_url("redis://127.0.0.1:1")
    with pytest.raises(LimiterUnavailable):
        await RedisLimiter(nobody).reserve(bot, per_second=30, wanted=1, share="exec_1", weight=2)
    await nobody.aclose()
