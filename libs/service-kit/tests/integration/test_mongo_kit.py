"""Transactions, leases, outbox and inbox on a real MongoDB."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.envelope import decode_as, new_event
from contracts.events.audience import AudienceEstimated
from pymongo.errors import DuplicateKeyError
from service_kit.errors import AlreadyHandled
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.mongo.lease import MongoLease
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def event(number: int, *, subject: str = "camp_1", sequence: int | None = None) -> Any:
    data = AudienceEstimated(campaign_id=subject, total_count=number, estimated_at=NOW)
    return new_event(data, source="/t", subject=subject, org="acme", time=NOW, sequence=sequence)


async def test_an_effect_its_inbox_mark_and_its_event_happen_together_or_not_at_all(
    mongo_client: Any, mongo_database: Any
):
    transactions = MongoTransactions(mongo_client, timeout=10)
    inbox = MongoInbox(mongo_database, consumer="c", clock=FixedClock(NOW))
    outbox = MongoOutbox(mongo_database, clock=FixedClock(NOW))
    await outbox.prepare()

    async def work(tx: Tx, *, fail: bool) -> None:
        await inbox.mark(tx, "evt_1")
        await mongo_database["things"].insert_one({"_id": 1}, session=session_of(tx))
        await outbox.add(tx, event(1))
        if fail:
            raise RuntimeError("died here")

    async def counts() -> list[int]:
        names = ("inbox", "things", "outbox")
        return [await mongo_database[name].count_documents({}) for name in names]

    with pytest.raises(RuntimeError):
        await transactions.run(lambda tx: work(tx, fail=True))
    assert await counts() == [0, 0, 0]
    await transactions.run(lambda tx: work(tx, fail=False))
    assert await counts() == [1, 1, 1]
    with pytest.raises(AlreadyHandled):
        await transactions.run(lambda tx: work(tx, fail=False))
    assert await counts() == [1, 1, 1]
    row = await mongo_database["outbox"].find_one({})
    assert decode_as(AudienceEstimated, bytes(row["value"])).data.total_count == 1


async def test_transactions_that_collide_all_happen(mongo_client: Any, mongo_database: Any):
    transactions = MongoTransactions(mongo_client, timeout=30)
    await mongo_database["hot"].insert_one({"_id": 1, "n": 0})

    async def once() -> None:
        async def work(tx: Tx) -> None:
            row = await mongo_database["hot"].find_one({"_id": 1}, session=session_of(tx))
            await mongo_database["hot"].update_one(
                {"_id": 1}, {"$set": {"n": row["n"] + 1}}, session=session_of(tx)
            )

        await transactions.run(work)

    await asyncio.gather(*(once() for _ in range(30)))
    assert (await mongo_database["hot"].find_one({"_id": 1}))["n"] == 30


async def test_an_error_of_the_work_itself_is_not_retried(mongo_client: Any, mongo_database: Any):
    await mongo_database["things"].insert_one({"_id": 1})
    calls = 0

    async def work(tx: Tx) -> None:
        nonlocal calls
        calls += 1
        await mongo_database["things"].insert_one({"_id": 1}, session=session_of(tx))

    with pytest.raises(DuplicateKeyError):
        await MongoTransactions(mongo_client, timeout=10).run(work)
    assert calls == 1


async def test_a_lease_has_one_owner_and_its_epoch_grows_with_each_change(mongo_database: Any):
    clock = FixedClock(NOW)

    def lease(owner: str) -> MongoLease:
        return MongoLease(mongo_database, name="relay", owner=owner, seconds=5, clock=clock)

    ann, ben = lease("ann"), lease("ben")
    first = await ann.acquire()
    assert first is not None
    assert await ben.acquire() is None
    clock.advance(4)
    assert await ann.acquire() == first
    clock.advance(4)
    assert await ben.acquire() is None
    clock.advance(2)
    second = await ben.acquire()
    assert second is not None
    assert second > first
    assert await ann.acquire() is None
    await ann.release()
    assert await ben.acquire() == second
    await ben.release()
    third = await ann.acquire()
    assert third is not None
    assert third > second


async def test_of_many_that_want_a_lease_at_once_exactly_one_gets_it(mongo_database: Any):
    clock = FixedClock(NOW)
    many = [
        MongoLease(mongo_database, name="x", owner=f"o{n}", seconds=5, clock=clock).acquire()
        for n in range(16)
    ]
    assert len([epoch for epoch in await asyncio.gather(*many) if epoch is not None]) == 1
