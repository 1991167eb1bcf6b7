"""What is told of segments and of those whom a message reached: always what a count by contacts says."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from contracts.events.campaign import Retry
from contracts.events.delivery import DeliveryRecorded
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_worker import Worker
from execution_service.domain.segment import Segment
from execution_service.domain.window import candidates

pytestmark = pytest.mark.integration


async def add_filter(engine: Any, segment_id: str, **filters: Any) -> None:
    now = engine.wiring.clock.now()
    segment = Segment("acme", segment_id, segment_id, "", now, now, filters=filters)
    await engine.wiring.transactions.run(lambda tx: engine.wiring.segments.insert(tx, segment))


async def told(engine: Any) -> tuple[Counter[tuple[str, str]], dict[str, tuple[str, ...]]]:
    """The sum of all rows by segment and status, and the segments of each contact that was reached."""
    sums: Counter[tuple[str, str]] = Counter()
    reached: dict[str, tuple[str, ...]] = {}
    for event in await engine.events():
        if not isinstance(event.data, DeliveryRecorded):
            continue
        for row in event.data.tally:
            segments = tuple(event.data.segment_ids[place] for place in row.segments)
            for segment in segments:
                sums[segment, row.status] += row.count
            assert len(row.contact_ids) == (row.count if row.status == "successful" else 0)
            assert not reached.keys() & set(row.contact_ids)
            reached.update(dict.fromkeys(row.contact_ids, segments))
    return Counter({key: count for key, count in sums.items() if count}), reached


async def statuses(engine: Any, *execution_ids: str) -> dict[str, str]:
    """What holds of each contact, by the ledger."""
    found: dict[str, str] = {}
    for execution_id in execution_ids:
        page = await engine.wiring.pages.page(execution_id, status=None, code=None, limit=10**6, cursor=None)
        found |= {row.contact_id: row.status for row in page.rows}
    return found


def counted(statuses: Mapping[str, str], segments: Mapping[str, Sequence[str]]) -> Counter[tuple[str, str]]:
    return Counter((segment, status) for name, status in statuses.items() for segment in segments[name])


async def die_with_a_window_open(engine: Any, execution_id: str, size: int) -> None:
    """A worker stores the intent for a few, and is gone; the shard is due at once."""
    dead, now = Worker(engine.wiring, owner="dead"), engine.wiring.clock.now()
    deadline = asyncio.get_running_loop().time() + 5
    lease = await engine.wiring.shards.lease("dead", now=now, seconds=0.01, deadline=deadline)
    execution = await engine.execution(execution_id)
    turn, hours = candidates(lease.state, limit=size, now=now), await engine.wiring.hours.hours(execution)
    prepared = await dead.run_shard.turn.prepare(execution, lease, turn, hours=hours, now=now)
    await dead.run_shard.turn.record.open(lease, execution, prepared)
    await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": now}})
    await dead.close()


async def test_rows_by_segment_add_up_to_a_count_by_contacts_those_of_a_dead_worker_too(engine: Any) -> None:
    engine.telegram.configure(blocked_chats=list(range(1, 121, 7)))
    await engine.contacts(range(1, 61), segments=["a", "elsewhere"], age=20)
    await engine.contacts(range(61, 101), segments=["b", "a"], age=40)
    await engine.contacts(range(101, 111), segments=["b"], opted_out=True)
    await engine.contacts(range(111, 121), segments=[], age=31, attributes={"tier": "gold"})
    await add_filter(engine, "grown", ageRange=[30, 60])
    await add_filter(engine, "golden", tier=["gold"])
    execution_id = await engine.planned(segments=["b", "grown", "a", "golden", "nobody"])
    await die_with_a_window_open(engine, execution_id, 20)
    # Whose window is open counts where it was; of the others the moment of their own window decides.
    first = await engine.wiring.contacts.by_ids("acme", ["con_000001"])
    left = [replace(first["con_000001"], segments=())]
    await engine.wiring.transactions.run(lambda tx: engine.wiring.contacts.replace(tx, left))
    async with engine.working():
        await engine.ended(execution_id)

    ledger = await statuses(engine, execution_id)
    segments = {
        f"con_{number:06d}": ("a",) if number <= 60 else ("b", "grown", "a") if number <= 100 else
        ("b",) if number <= 110 else ("grown", "golden") for number in range(1, 121)
    }  # fmt: skip
    assert Counter(ledger.values()).keys() == {"successful", "failed", "skipped", "unknown"}
    sums, reached = await told(engine)
    assert sums == counted(ledger, segments)
    assert reached == {name: segments[name] for name, status in ledger.items() if status == "successful"}
    assert await engine.database["windows"].count_documents({"segments": {"$exists": True}}) == 0


async def test_a_retry_takes_back_from_the_segment_that_its_contact_has_left(engine: Any) -> None:
    await engine.contacts(range(1, 41))
    engine.telegram.configure(blocked_chats=list(range(1, 11)))
    event = engine.started()
    first = await engine.accept(event)
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(first)
    assert (await told(engine))[0] == {("seg", "successful"): 30, ("seg", "failed"): 10}

    names = [f"con_{number:06d}" for number in range(1, 6)]
    people = await engine.wiring.contacts.by_ids("acme", names)
    moved = [replace(person, segments=("new",)) for person in people.values()]
    await engine.wiring.transactions.run(lambda tx: engine.wiring.contacts.replace(tx, moved))
    engine.telegram.configure(blocked_chats=[1, 10])
    retry = Retry(of=first, statuses=["failed"])
    again = engine.started(campaign_id=event.data.campaign_id, segments=["seg", "new", "seg"], retry=retry)
    second = await engine.accept(again)
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(second)

    ledger = await statuses(engine, first, second)
    sums, reached = await told(engine)
    assert sums == counted(ledger, {name: ("new",) if name in names else ("seg",) for name in ledger})
    assert sums == {
        ("seg", "successful"): 34, ("seg", "failed"): 1, ("new", "successful"): 4, ("new", "failed"): 1,
    }  # fmt: skip
    assert len(reached) == 38
