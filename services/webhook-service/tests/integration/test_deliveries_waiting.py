"""What the Deliveries port promises of what waits: one suite, on the in-memory fake and on MongoDB alike."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from webhook_service.domain.delivery import Blocker, Delivery, Status
from webhook_service.testing.store import Store

pytestmark = pytest.mark.integration


async def test_what_waits_longest_comes_first_and_ties_follow_the_sequence(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    second, first = make_delivery(sequence=2), make_delivery(sequence=1)
    older = make_delivery("wh_2", sequence=9, next_attempt_at=now - timedelta(seconds=1))
    future = make_delivery(next_attempt_at=now + timedelta(seconds=60))
    await store.put(second, first, older, future)
    assert await store.due() == [older.key, first.key, second.key]
    assert await store.due(limit=1) == [older.key]
    assert await store.due(without=("wh_1",)) == [older.key]
    assert len(await store.due(later=60)) == 4
    assert await store.deliveries.count_due(now=now, limit=100) == 3


async def test_what_is_given_back_is_due_again_and_what_was_lost_is_not_touched(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    mine, lost = make_delivery(), make_delivery()
    await store.put(mine, lost)
    claims = await store.take(mine, lost)
    await store.take(lost, later=45)
    await store.deliveries.give_back(claims, due_at=now + timedelta(seconds=2))
    assert await store.due(later=1) == []
    assert await store.due(later=2) == [mine.key]


async def test_a_pause_puts_off_what_waits_and_its_end_brings_back_what_was_due_anyway(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    waiting, taken, later = (
        make_delivery(),
        make_delivery(),
        make_delivery(next_attempt_at=now + timedelta(hours=1)),
    )
    other = make_delivery("wh_2")
    await store.put(waiting, taken, later, other)
    await store.take(taken)
    until = now + timedelta(minutes=10)
    await store.deliveries.postpone([waiting.key, taken.key], now=now, until=until)
    assert await store.due(later=44) == [other.key]
    assert (await store.deliveries.find("wh_1", waiting.id)).next_attempt_at == now
    await store.deliveries.release("wh_1", now=now + timedelta(seconds=5))
    assert await store.due(later=5) == [other.key, waiting.key]
    assert later.key in await store.due(later=3600)
    await store.deliveries.postpone([waiting.key, later.key], now=now + timedelta(seconds=5), until=until)
    assert await store.due(later=5) == [other.key]
    await store.deliveries.wake([waiting.key, later.key], now=now + timedelta(seconds=6))
    assert await store.due(later=6) == [other.key, waiting.key]


async def test_a_lane_is_held_up_by_its_first_that_is_pending_until_that_lapses_or_ends(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    first, second, third = (make_delivery(campaign_id="c", sequence=number) for number in (1, 2, 3))
    await store.put(
        third, make_delivery(campaign_id="d"), second, first, make_delivery("wh_2", campaign_id="c")
    )
    lane = ("wh_1", "c")

    async def blocker(later: float = 0) -> Blocker | None:
        at = now + timedelta(seconds=later)
        return (await store.deliveries.blockers({lane, ("wh_3", "c")}, now=at)).get(lane)

    assert await blocker() == Blocker(first.key, 1, now, None, taken=False)
    (claim,) = await store.take(first)
    found = await blocker()
    assert found is not None and found.taken
    await store.record(claim, Status.PENDING, later=5)
    found = await blocker(later=3604)
    assert found is not None and (found.key, found.taken) == (first.key, False)
    assert found.due_at == now + timedelta(seconds=5)
    found = await blocker(later=3605)
    assert found is not None and found.key == second.key
    await store.deliveries.settle(await store.take(second), Status.PARKED)
    found = await blocker(later=3605)
    assert found is not None and found.key == third.key
    await store.deliveries.settle(await store.take(third), Status.FAILED)
    assert await blocker(later=3605) is None
    assert await store.deliveries.retry("wh_1", first.id, now=now)
    found = await blocker(later=3605)
    assert found is not None and found.key == first.key


async def test_a_look_at_what_came_due_lately_leaves_out_the_rest(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    old, new = make_delivery(next_attempt_at=now - timedelta(seconds=9)), make_delivery()
    await store.put(old, new)
    since = now - timedelta(seconds=2)
    found = await store.deliveries.due(since=since, now=now, limit=9, except_endpoints=())
    assert [item.key for item in found] == [new.key]


async def test_what_is_taken_holds_up_its_lane_whatever_comes_first_and_a_dead_lease_is_none(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    first, second = (make_delivery(campaign_id="c", sequence=number) for number in (1, 2))
    await store.put(first, second)
    await store.take(second)
    lane = ("wh_1", "c")

    async def blocker(later: float) -> tuple[str, bool]:
        at = now + timedelta(seconds=later)
        found = (await store.deliveries.blockers({lane}, now=at))[lane]
        return found.key, found.taken

    assert await blocker(1) == (second.key, True)
    assert await blocker(45) == (first.key, False)
    at = now + timedelta(seconds=45)
    assert not await store.deliveries.retry("wh_1", second.id, now=now)
    await store.deliveries.postpone([second.key], now=at, until=at + timedelta(seconds=30))
    assert await blocker(46) == (first.key, False)
    await store.deliveries.wake([second.key], now=at)
    assert set(await store.due(later=45)) == {first.key, second.key}
    await store.take(first, later=45)
    assert await store.deliveries.retry("wh_1", first.id, now=now + timedelta(seconds=90))
