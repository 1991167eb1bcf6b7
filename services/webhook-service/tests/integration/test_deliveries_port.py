"""What the Deliveries port promises: one suite, run on the in-memory fake and on MongoDB alike."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.errors import AlreadyHandled
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.fakes import InMemoryTransactions
from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.application.ports import Deliveries
from webhook_service.domain.delivery import Attempt, Blocker, Claim, Delivery, Outcome, Status
from webhook_service.testing.fake_deliveries import InMemoryDeliveries

pytestmark = pytest.mark.integration


class Store:
    """The port, and how to put deliveries into it."""

    def __init__(self, deliveries: Deliveries, transactions: Any, now: datetime) -> None:
        self.deliveries, self.transactions, self.now = deliveries, transactions, now

    async def put(self, *items: Delivery) -> None:
        await self.transactions.run(lambda tx: self.deliveries.add(tx, items))

    async def take(self, *items: Delivery, later: float = 0) -> list[Claim]:
        now = self.now + timedelta(seconds=later)
        return await self.deliveries.claim(
            [item.key for item in items], now=now, until=now + timedelta(seconds=45)
        )

    async def due(self, *, later: float = 0, limit: int = 100, without: tuple[str, ...] = ()) -> list[str]:
        now = self.now + timedelta(seconds=later)
        return [
            item.key for item in await self.deliveries.due(now=now, limit=limit, except_endpoints=without)
        ]

    async def record(self, claim: Claim, status: Status, *, later: float | None = None) -> bool:
        again = None if later is None else self.now + timedelta(seconds=later)
        attempt = Attempt(self.now, 500 if again else 200, 3, "answered 500" if again else None)
        lapses = again and again + timedelta(hours=1)
        (stored,) = await self.deliveries.record([Outcome(claim, attempt, status, again, lapses, "text")])
        return stored

    async def one(self, endpoint_id: str) -> Delivery:
        (found,) = await self.deliveries.page(
            endpoint_id, statuses=(), event_type=None, before=None, limit=10
        )
        return found


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


async def test_a_stored_delivery_reads_back_as_it_was(store: Store, make_delivery: Callable[..., Delivery]):
    item = make_delivery()
    await store.put(item)
    assert await store.one("wh_1") == item


async def test_the_same_event_for_the_same_endpoint_is_refused_whole(
    store: Store, make_delivery: Callable[..., Delivery]
):
    item = make_delivery()
    await store.put(item)
    with pytest.raises(AlreadyHandled):
        await store.put(make_delivery("wh_2"), make_delivery(event_id=item.event_id))
    assert await store.due() == [item.key]


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


async def test_of_many_takers_one_gets_each_delivery_until_the_lease_ends(
    store: Store, make_delivery: Callable[..., Delivery]
):
    items = [make_delivery() for _ in range(20)]
    await store.put(*items)
    taken = await asyncio.gather(*(store.take(*items) for _ in range(8)))
    keys = [claim.key for claims in taken for claim in claims]
    assert sorted(keys) == sorted(item.key for item in items)
    assert await store.due() == []
    again = await store.take(*items, later=45)
    assert {claim.epoch for claim in again} == {2}


async def test_a_record_stores_the_attempt_and_plans_the_next(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    await store.put(item := make_delivery())
    (claim,) = await store.take(item)
    assert (claim.body, claim.attempts_made, claim.event_id) == (item.body, 0, item.event_id)
    assert await store.record(claim, Status.PENDING, later=5)
    assert (await store.one("wh_1")).next_attempt_at == now + timedelta(seconds=5)
    assert await store.due(later=4) == []
    (claim,) = await store.take(item, later=5)
    assert claim.attempts_made == 1
    assert await store.record(claim, Status.SUCCEEDED)
    stored = await store.one("wh_1")
    assert (stored.status, stored.next_attempt_at, stored.response_body) == (Status.SUCCEEDED, None, "text")
    assert [item.status_code for item in stored.attempts] == [500, 200]
    assert await store.due(later=10**6) == []


async def test_a_claim_that_was_lost_records_nothing(store: Store, make_delivery: Callable[..., Delivery]):
    await store.put(item := make_delivery())
    (late,) = await store.take(item)
    (current,) = await store.take(item, later=45)
    assert not await store.record(late, Status.SUCCEEDED)
    assert await store.deliveries.settle([late], Status.FAILED) == 0
    assert (await store.one("wh_1")).status is Status.PENDING
    assert await store.record(current, Status.SUCCEEDED)
    await store.record(current, Status.FAILED)
    found = await store.one("wh_1")
    assert (found.status, len(found.attempts)) == (Status.SUCCEEDED, 1)


async def test_settling_an_endpoint_leaves_what_is_under_way_and_what_has_ended(
    store: Store, make_delivery: Callable[..., Delivery]
):
    waiting, taken, ended, other = make_delivery(), make_delivery(), make_delivery(), make_delivery("wh_2")
    await store.put(waiting, taken, ended, other)
    (claim,) = await store.take(ended)
    await store.record(claim, Status.SUCCEEDED)
    (under_way,) = await store.take(taken)
    assert await store.deliveries.settle_all("wh_1", Status.PARKED) == 1
    assert await store.due() == [other.key]
    assert await store.record(under_way, Status.SUCCEEDED)
    assert await store.deliveries.settle_all("wh_1", Status.FAILED) == 1
    found = await store.deliveries.page("wh_1", statuses=(), event_type=None, before=None, limit=10)
    assert {item.key: item.status for item in found} == {
        waiting.key: Status.FAILED,
        taken.key: Status.SUCCEEDED,
        ended.key: Status.SUCCEEDED,
    }


@pytest.mark.parametrize("status", [Status.PENDING, Status.SUCCEEDED, Status.FAILED])
async def test_a_retry_makes_one_attempt_more_at_once_whatever_became_of_the_delivery(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime, status: Status
):
    await store.put(item := make_delivery())
    (claim,) = await store.take(item)
    assert not await store.deliveries.retry("wh_1", item.id, now=now)
    await store.record(claim, status, later=3600 if status is Status.PENDING else None)
    assert not await store.deliveries.retry("wh_2", item.id, now=now)
    assert await store.deliveries.retry("wh_1", item.id, now=now + timedelta(seconds=1))
    assert await store.due(later=1) == [item.key]
    (again,) = await store.take(item, later=1)
    assert again.attempts_made == 1
    await store.record(claim, Status.FAILED)
    assert (await store.one("wh_1")).status is Status.PENDING


async def test_a_recovery_begins_afresh_with_what_failed_or_was_parked_in_that_time_oldest_first(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    def made(minutes: int) -> Delivery:
        return make_delivery(created_at=now + timedelta(minutes=minutes), sequence=minutes)

    early, failed, parked, waiting, done, late = (made(minutes) for minutes in range(6))
    await store.put(parked, early, late)
    assert await store.deliveries.settle_all("wh_1", Status.PARKED) == 3
    await store.put(failed, waiting, done, make_delivery("wh_2"))
    for item, status in ((failed, Status.FAILED), (done, Status.SUCCEEDED)):
        (claim,) = await store.take(item)
        await store.record(claim, status)
    since, until, later = (now + timedelta(minutes=minutes) for minutes in (1, 5, 10))

    async def ended(after: str | None, limit: int = 9) -> list[str]:
        found = await store.deliveries.ended("wh_1", since=since, until=until, after=after, limit=limit)
        return [item.id for item in found]

    assert await ended(None) == [failed.id, parked.id]
    assert await ended(None, limit=1) == [failed.id]
    assert await ended(failed.id) == [parked.id]
    assert await store.deliveries.revive([failed.key, parked.key, done.key], now=later) == 2
    assert await store.deliveries.revive([failed.key, parked.key], now=later) == 0
    assert await ended(None) == []
    due = await store.due(later=600, without=("wh_2",))
    assert due == [waiting.key, failed.key, parked.key]
    (again,) = await store.take(failed, later=600)
    assert again.attempts_made == 0
    found = await store.deliveries.page("wh_1", statuses=(), event_type=None, before=None, limit=10)
    assert {item.id: len(item.attempts) for item in found}[failed.id] == 1


async def test_of_many_outcomes_those_whose_claims_hold_are_stored_each_with_its_own(
    store: Store, make_delivery: Callable[..., Delivery], now: datetime
):
    items = [make_delivery() for _ in range(150)]
    await store.put(*items)
    late = await store.take(*items[:10])
    claims = {
        claim.key: claim for claim in await store.take(*items[:10], later=45) + await store.take(*items[10:])
    }
    again = now + timedelta(seconds=60)

    def outcome(number: int, claim: Claim) -> Outcome:
        fails = number % 3 == 0
        attempt = Attempt(now, 500 if fails else 200, number, "answered 500" if fails else None)
        status = Status.PENDING if fails else Status.SUCCEEDED
        return Outcome(claim, attempt, status, again if fails else None, None, f"body {number}")

    lost = [outcome(1000 + number, claim) for number, claim in enumerate(late)]
    mine = [outcome(number, claims[item.key]) for number, item in enumerate(items)]
    assert await store.deliveries.record(lost[:5] + mine[10:]) == [False] * 5 + [True] * 140
    assert await store.deliveries.record(mine[:10]) == [True] * 10
    found = await store.deliveries.page("wh_1", statuses=(), event_type=None, before=None, limit=200)
    stored = {item.key: item for item in found}
    for number, item in enumerate(items):
        row = stored[item.key]
        assert [attempt.duration_ms for attempt in row.attempts] == [number]
        assert row.status is (Status.PENDING if number % 3 == 0 else Status.SUCCEEDED)
        assert (row.response_body, row.next_attempt_at) == (
            f"body {number}",
            again if number % 3 == 0 else None,
        )


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


async def test_pages_are_newest_first_and_filter_by_status_and_type(
    store: Store, make_delivery: Callable[..., Delivery]
):
    items = [make_delivery(event_type=f"campaign.{name}") for name in ("created", "started", "created")]
    await store.put(*items, make_delivery("wh_2"))

    async def page(**changes: Any) -> list[str]:
        asked = {"statuses": (), "event_type": None, "before": None, "limit": 10, **changes}
        return [item.id for item in await store.deliveries.page("wh_1", **asked)]

    newest_first = [item.id for item in items][::-1]
    assert await page() == newest_first
    assert await page(limit=2) == newest_first[:2]
    assert await page(before=newest_first[1]) == newest_first[2:]
    assert await page(event_type="campaign.created") == [items[2].id, items[0].id]
    assert await page(statuses=(Status.SUCCEEDED, Status.FAILED)) == []
    assert await page(statuses=(Status.PENDING, Status.PARKED), limit=1) == newest_first[:1]
