"""The limiter: no second holds more slots than the rate, and few are left unused."""

import asyncio
import itertools
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from execution_service.adapters.redis_limiter import RedisLimiter
from execution_service.application.ports_sending import (
    GRANT_SECONDS,
    Deferred,
    Grant,
    LimiterUnavailable,
    Sharer,
)
from execution_service.domain.bot import BotLimits, pace
from redis.asyncio import Redis
from service_kit.testing.waiting import eventually

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


def sharer(
    bot: int, rate: int, share: str = "exec_1", weight: int = 2, *, paid: bool = False, **limits: int
) -> Sharer:
    """An execution that asks, without limits of chats unless they are named."""
    free = {"per_chat_per_second": rate, "per_group_per_minute": rate * 60}
    return Sharer(bot, BotLimits(per_second=rate, **{**free, **limits}), paid, share, weight)


SPREAD = 1 + pace(100).spread
CHATS = range(1, 201)


async def reserve_until(
    limiter: RedisLimiter, who: Sharer, end: float, *, stalls: list[float] | None = None
) -> list[float]:
    """A greedy worker: reserves as much as it gets until `end`, and does not run ahead of its slots.

    `stalls` hears how much later than asked for this process was woken: a machine with other work.
    """
    loop, slots = asyncio.get_running_loop(), []
    while loop.time() < end:
        grant = await limiter.reserve(who, CHATS)
        slots.extend(slot.at for slot in grant.slots)
        pause = max(0.0, slots[-1] - loop.time()) if grant.turns else grant.wait
        until = loop.time() + pause
        await asyncio.sleep(pause)
        if stalls is not None:
            stalls.append(loop.time() - until)
    return slots


async def stand_still(seconds: float) -> None:
    """Let this process stand still, again and again."""
    while True:
        await asyncio.sleep(0.2)
        time.sleep(seconds)  # noqa: ASYNC251 - that is the fault


async def reserved(limiter: RedisLimiter, who: Sharer, chats: Sequence[int], **missed: Any) -> Grant:
    """A grant, when there is one."""
    while True:
        grant = await limiter.reserve(who, chats, **missed)
        if grant.turns:
            return grant
        await asyncio.sleep(min(grant.wait, 0.1))


async def with_slots(limiter: RedisLimiter, who: Sharer, chats: Sequence[int]) -> Grant:
    """A grant, when there is one for any of `chats`."""
    return await eventually(lambda: reserved(limiter, who, chats), lambda grant: bool(grant.slots))


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
        await limiter.reserve(sharer(1, 1_000), [1])
    return limiter


@pytest.mark.parametrize("rate", [30, 700, 1_000])
async def test_four_workers_never_exceed_the_rate_and_use_nearly_all_of_it(
    limiter: RedisLimiter, bot: int, rate: int
) -> None:
    end = asyncio.get_running_loop().time() + 2.6
    stalls: list[float] = []
    jobs = [reserve_until(limiter, sharer(bot, rate), end, stalls=stalls) for _ in range(4)]
    slots = sorted(slot for part in await asyncio.gather(*jobs) for slot in part)
    assert most_in_a_second(slots) <= rate
    used = [slot for slot in slots if slots[0] <= slot < slots[0] + 1.2]
    # Nobody can use what passes while no worker runs; a few milliseconds are the event loop's own.
    asleep = sum(late for late in stalls if late > 0.02)
    # Where the slots lie in the time looked at decides on one more or less.
    assert len(used) + 1 >= 0.97 * rate * (1.2 - asleep)


@pytest.mark.parametrize("stall", [0, 0.3])
async def test_executions_share_the_rate_by_their_priorities_however_many_workers_they_have(
    limiter: RedisLimiter, bot: int, stall: float
) -> None:
    """Also on a machine that stands still for a moment now and then: nobody was away alone."""
    workers = [("low", 1)] * 5 + [("normal", 2)] * 2 + [("high", 4)] * 3
    end = asyncio.get_running_loop().time() + 3
    jobs = [reserve_until(limiter, sharer(bot, 400, share, weight), end) for share, weight in workers]
    counts = {"low": 0, "normal": 0, "high": 0}
    stalls = asyncio.create_task(stand_still(stall)) if stall else None
    for (share, _), slots in zip(workers, await asyncio.gather(*jobs), strict=True):
        counts[share] += len(slots)
    if stalls:
        stalls.cancel()
    else:
        assert sum(counts.values()) >= 0.9 * 400 * 2  # the first second of a new bot is empty
    # What start-time fair queueing promises at every moment, however short the run: two shares' service
    # per weight differs by no more than one grant of each. Without weights it would be 225 here.
    grant, weights = 400 * GRANT_SECONDS, {"low": 1, "normal": 2, "high": 4}
    for one, other in itertools.combinations(weights, 2):
        apart = abs(counts[one] / weights[one] - counts[other] / weights[other])
        assert apart <= grant / weights[one] + grant / weights[other], counts


async def test_who_does_not_come_back_holds_nobody_up(limiter: RedisLimiter, bot: int) -> None:
    gone, there = sharer(bot, 400, "gone", weight=4), sharer(bot, 400, "there", weight=1)
    await reserved(limiter, there, CHATS)  # from now on whoever is new comes first
    told = await eventually(lambda: limiter.reserve(gone, CHATS), lambda grant: grant.wait > 0, every=0)
    await asyncio.sleep(told.wait + 0.2)  # nobody asks meanwhile: it could be the machine that stood still
    assert not (await limiter.reserve(there, CHATS)).turns
    end = asyncio.get_running_loop().time() + 2
    jobs = [reserve_until(limiter, there, end) for _ in range(3)]
    slots = [slot for part in await asyncio.gather(*jobs) for slot in part if slot < end]
    assert len(slots) >= 0.9 * 400 * 2


async def test_an_execution_alone_gets_the_whole_rate_whatever_its_priority(
    limiter: RedisLimiter, bot: int
) -> None:
    end = asyncio.get_running_loop().time() + 2.5
    jobs = [reserve_until(limiter, sharer(bot, 400, weight=1), end) for _ in range(3)]
    slots = sorted(slot for part in await asyncio.gather(*jobs) for slot in part)
    assert sum(slot < slots[0] + 1 for slot in slots) >= 390


async def forget(redis: Redis, bot: int) -> None:
    """As when the server has been emptied."""
    await redis.delete(*[key async for key in redis.scan_iter(f"*{bot}*")])


async def test_an_emptied_limiter_starts_empty(redis: Redis, limiter: RedisLimiter, bot: int) -> None:
    loop, who = asyncio.get_running_loop(), sharer(bot, 100)
    before = await reserved(limiter, who, CHATS)
    emptied = loop.time()
    await forget(redis, bot)
    after = await reserved(limiter, who, CHATS)
    assert after.slots[0].at - emptied >= 0.99
    assert most_in_a_second([slot.at for slot in (*before.slots, *after.slots)]) <= 100


async def test_two_messages_to_a_chat_keep_their_distance_whoever_sends_them(
    limiter: RedisLimiter, bot: int
) -> None:
    one, other = (sharer(bot, 100, share, per_chat_per_second=1) for share in ("exec_1", "exec_2"))
    first = await reserved(limiter, one, [7, 8])
    grant = await reserved(limiter, other, [8, 9, 8, 10, 7])
    eight, nine, eight_again, ten, seven = grant.turns
    assert [isinstance(turn, Deferred) for turn in grant.turns] == [True, False, True, False, True]
    distance = 1.0 + 0.05
    assert eight.at == pytest.approx(first.slots[1].at + distance, abs=2e-3)
    assert eight_again.at == pytest.approx(eight.at + distance, abs=1e-3)  # in a row, not all at once
    assert seven.at == pytest.approx(first.slots[0].at + distance, abs=2e-3)
    assert ten.at - nine.at == pytest.approx(SPREAD / 100, abs=1e-4)  # the deferred ones took no slot
    assert (await with_slots(limiter, other, [8])).slots[0].at >= eight.at - 1e-3


async def test_a_group_gets_twenty_a_minute_evenly(limiter: RedisLimiter, bot: int) -> None:
    who = sharer(bot, 100, per_group_per_minute=20)
    await with_slots(limiter, who, [-4])  # a new bot's groups wait longer than its other chats
    grant = await reserved(limiter, who, [-5, -5, -6, 5, 5])
    assert [isinstance(turn, Deferred) for turn in grant.turns] == [False, True, False, False, False]
    assert grant.turns[1].at == pytest.approx(grant.turns[0].at + 3.0025, abs=2e-3)


async def test_a_missed_slot_does_not_stand_in_the_way_of_its_own_chat(
    limiter: RedisLimiter, bot: int
) -> None:
    one, other = (sharer(bot, 100, share, per_chat_per_second=1) for share in ("exec_1", "exec_2"))
    missed = (await reserved(limiter, one, [7, 8])).slots
    assert all(isinstance(turn, Deferred) for turn in (await reserved(limiter, other, [7])).turns)
    again = await reserved(limiter, one, [7, 8], missed=missed)
    assert len(again.slots) == 2
    # But where somebody else has got the chat since, it waits.
    await with_slots(limiter, other, [7])
    late = await reserved(limiter, one, [7], missed=again.slots[:1])
    assert not late.slots


async def test_an_emptied_limiter_starts_empty_for_chats_too(
    redis: Redis, limiter: RedisLimiter, bot: int
) -> None:
    loop, who = asyncio.get_running_loop(), sharer(bot, 100, per_chat_per_second=1, per_group_per_minute=20)
    before = {chat: (await with_slots(limiter, who, [chat])).slots[0].at for chat in (-7, 7)}
    await forget(redis, bot)
    emptied = loop.time()
    user, group = (await reserved(limiter, who, [7, -7])).turns
    assert user.at >= before[7] + 1.05
    assert isinstance(group, Deferred)
    assert group.at >= max(before[-7], emptied) + 3.0025


async def test_paid_messages_have_a_rate_of_their_own_but_no_chats_of_their_own(
    limiter: RedisLimiter, bot: int
) -> None:
    free = sharer(bot, 10, per_chat_per_second=1)
    paid = sharer(bot, 10, "exec_2", paid=True, per_chat_per_second=1, paid_per_second=400)
    some = await reserved(limiter, free, [1, 2])
    many = await reserved(limiter, paid, range(1, 101))
    assert len(many.slots) == len(many.turns) - 2 >= 90
    assert many.slots[-1].at - many.slots[0].at == pytest.approx(
        (len(many.slots) - 1) * SPREAD / 400, abs=1e-3
    )
    assert [type(turn) for turn in many.turns[:2]] == [Deferred, Deferred]
    assert some.slots[1].at - some.slots[0].at == pytest.approx(SPREAD / 10, abs=1e-3)


async def test_slots_may_be_closer_than_a_microsecond_is_long(limiter: RedisLimiter, bot: int) -> None:
    rate = 99_999  # 12.50062… microseconds apart
    grant, times = await reserved(limiter, sharer(bot, rate), range(1_000)), []
    assert len(grant.slots) == 1_000
    for _ in range(5):
        times += [slot.mark for slot in grant.slots]
        grant = await reserved(limiter, sharer(bot, rate), range(1_000))
        assert grant.slots[0].mark >= times[-1] + 1.25e6 / rate - 0.01
    assert times == sorted(times)


async def test_a_silenced_bot_gets_no_slots_until_its_time(limiter: RedisLimiter, bot: int) -> None:
    loop, who = asyncio.get_running_loop(), sharer(bot, 100)
    await limiter.reserve(who, [1])
    await limiter.block(bot, 2)
    silent_until = loop.time() + 2
    await limiter.block(bot, 0.1)  # a shorter one does not shorten it
    assert (await reserved(limiter, who, CHATS)).slots[0].at >= silent_until - 0.02


async def test_without_redis_nothing_is_granted(bot: int) -> None:
    nobody: Redis = Redis.from_url("redis://127.0.0.1:1")
    with pytest.raises(LimiterUnavailable):
        await RedisLimiter(nobody).reserve(sharer(bot, 30), [1])
    await nobody.aclose()
