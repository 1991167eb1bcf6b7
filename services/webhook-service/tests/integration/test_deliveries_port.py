"""What the Deliveries port promises: one suite, run on the in-memory fake and on MongoDB alike."""

import asyncio
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.errors import AlreadyHandled
from webhook_service.domain.delivery import Attempt, Claim, Delivery, Outcome, Status
from webhook_service.testing.store import Store

pytestmark = pytest.mark.integration


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


async def test_what_is_not_there_yet_is_stored_and_what_is_there_stays_as_it_is(
    store: Store, make_delivery: Callable[..., Delivery]
):
    there, fresh = make_delivery(), make_delivery("wh_2")
    await store.put(there)
    (claim,) = await store.take(there)
    await store.record(claim, Status.SUCCEEDED)
    for _ in range(2):
        await store.deliveries.ensure([make_delivery(event_id=there.event_id), fresh])
    kept = await store.one("wh_1")
    assert (kept.id, kept.status) == (there.id, Status.SUCCEEDED)
    assert await store.one("wh_2") == fresh
    assert await store.due() == [fresh.key]


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
