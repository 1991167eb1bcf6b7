"""Pause and resume: sends stop soon, and nobody is lost or doubled, whatever happens at the same moment."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from contracts.events.campaign import CampaignPaused, CampaignResumed
from contracts.events.execution import ExecutionCompleted
from execution_service.application.prepare_window import PrepareWindow
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_worker import Worker
from execution_service.domain.window import candidates
from pymongo.errors import AutoReconnect
from service_kit.errors import AlreadyHandled

pytestmark = pytest.mark.integration
PROMISED = 2.0
"""Seconds after a pause in which the last message may be sent."""
PAUSES = 4 if os.environ.get("LIMITER_SCALE", "1") == "1" else 12
"""A dozen in `make chaos`."""
CONTACTS = 150 * PAUSES


def sent_at_least(engine: Any, count: int, bot: Any) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return len(engine.sends(bot)) >= count

    return check


def parked(engine: Any, execution_id: str) -> Callable[[], Awaitable[bool]]:
    """Whether no shard is leased or waits to be."""

    async def check() -> bool:
        return set(await engine.states(execution_id)) <= {"parked", "done"}

    return check


async def completions(engine: Any) -> int:
    return sum(isinstance(event.data, ExecutionCompleted) for event in await engine.events())


async def test_many_pauses_during_an_execution_stop_in_time_and_lose_and_double_nobody(
    engine: Any,
) -> None:
    bot = await engine.new_bot(per_second=200)
    await engine.contacts(range(1, CONTACTS + 1))
    started = engine.started(bot_id=bot.bot_id)
    execution_id = await engine.accept(started)
    late, sent = [], 0
    async with engine.working(), engine.working("second"):
        planning = asyncio.create_task(make_planner(engine.wiring).run_once("planner"))
        for _ in range(PAUSES):
            await engine.eventually(sent_at_least(engine, sent + 15, bot))
            await engine.steer(CampaignPaused, started)
            paused_at = time.time()
            await engine.eventually(parked(engine, execution_id))
            assert (await engine.execution(execution_id)).status == "paused"
            rows = engine.sends(bot)
            late.append(rows[-1]["at"] - paused_at)
            sent = len(rows)
            await engine.steer(CampaignResumed, started)
            await planning  # a pause that met the planner at work made it let go
            planning = asyncio.create_task(make_planner(engine.wiring).run_once("planner"))
        await planning
        await engine.ended(execution_id)
    assert max(late) < PROMISED, late
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": CONTACTS, "failed": 0, "skipped": 0, "unknown": 0}
    assert engine.deliveries(bot) == Counter(range(1, CONTACTS + 1))
    assert await completions(engine) == 1


async def test_runners_that_wait_for_a_slow_bot_stop_too_and_leave_its_slots_to_others(engine: Any) -> None:
    slow = await engine.new_bot(per_second=1)
    await engine.contacts(range(1, 401))
    started = engine.started(bot_id=slow.bot_id)
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working() as worker:
        asked, reserve = [], worker.run_shard.turn.limiter.reserve

        async def noted(*args: Any, **kwargs: Any) -> Any:
            asked.append(time.time())
            return await reserve(*args, **kwargs)

        worker.run_shard.turn.limiter.reserve = noted
        await engine.eventually(sent_at_least(engine, 2, slow))
        await engine.steer(CampaignPaused, started)
        paused_at = time.time()
        await engine.eventually(parked(engine, execution_id))
        assert engine.sends(slow)[-1]["at"] - paused_at < PROMISED
        assert asked[-1] - paused_at < PROMISED


async def test_a_process_that_hangs_after_its_intent_sends_nothing_once_it_was_paused(engine: Any) -> None:
    await engine.contacts(range(1, 51))
    started = engine.started()
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working() as worker:
        open_window, opened = worker.run_shard.turn.record.open, asyncio.Event()

        async def hang(*args: Any) -> Any:
            window = await open_window(*args)
            if not opened.is_set():
                await engine.steer(CampaignPaused, started)
                await asyncio.sleep(engine.wiring.engine_settings.pause_seconds / 2)
                opened.set()
            return window

        worker.run_shard.turn.record.open = hang
        await opened.wait()
        await engine.eventually(parked(engine, execution_id))
        assert engine.sends() == []
        await engine.steer(CampaignResumed, started)
        await engine.ended(execution_id)
    assert engine.deliveries() == Counter(range(1, 51))
    assert (await engine.ledger_agrees(execution_id))["unknown"] == 0


async def test_a_database_that_is_away_between_intent_and_send_leaves_nobody_unknown(engine: Any) -> None:
    await engine.contacts(range(1, 51))
    execution_id = await engine.planned()
    standing, failures = engine.wiring.executions.standing, 0
    async with engine.working() as worker:
        open_window = worker.run_shard.turn.record.open

        async def away(asked: str) -> Any:
            nonlocal failures
            engine.wiring.executions.standing = standing
            failures += 1
            raise AutoReconnect("connection closed")

        async def slowly(*args: Any) -> Any:
            window = await open_window(*args)
            if not failures:
                engine.wiring.executions.standing = away
                await asyncio.sleep(engine.wiring.engine_settings.pause_seconds / 2)  # the look is old now
            return window

        worker.run_shard.turn.record.open = slowly
        await engine.ended(execution_id)
    assert failures == 1
    assert (await engine.ledger_agrees(execution_id))["unknown"] == 0
    assert engine.deliveries() == Counter(range(1, 51))


async def paused_with_one_shard(engine: Any) -> tuple[Any, str]:
    await engine.contacts(range(1, 31))
    started = engine.started()
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    await engine.steer(CampaignPaused, started)
    return started, execution_id


async def test_a_shard_that_is_parked_while_its_execution_is_resumed_is_not_missed(engine: Any) -> None:
    started, execution_id = await paused_with_one_shard(engine)
    shards, park = engine.wiring.shards, engine.wiring.shards.park
    raced = asyncio.Event()

    async def park_late(lease: Any) -> None:
        """The worker has read `paused`; the resumption is complete before it parks."""
        if not raced.is_set():
            await engine.steer(CampaignResumed, started)
            raced.set()
        await park(lease)

    shards.park = park_late
    async with engine.working():
        await engine.ended(execution_id)
    assert raced.is_set()
    assert engine.deliveries() == Counter(range(1, 31))


async def test_a_worker_that_dies_in_that_race_leaves_the_shard_to_the_sweep(engine: Any) -> None:
    started, execution_id = await paused_with_one_shard(engine)
    await engine.steer(CampaignResumed, started)
    # The park of a worker that had read `paused` before, and died before it could look again.
    await engine.database["shards"].update_one(
        {"executionId": execution_id}, {"$set": {"state": "parked"}, "$unset": {"dueAt": ""}}
    )
    await engine.wiring.finish.sweep()
    async with engine.working():
        await engine.ended(execution_id)
    assert engine.deliveries() == Counter(range(1, 31))


async def test_a_pause_during_planning_holds_the_plan_and_sends_nothing(engine: Any) -> None:
    await engine.contacts(range(1, 301))
    started = engine.started()
    execution_id = await engine.accept(started)
    pausing = engine.interrupted("con_000130", lambda: engine.steer(CampaignPaused, started))
    assert await pausing.run_once("planner")
    assert not await make_planner(engine.wiring).run_once("other")
    execution = await engine.execution(execution_id)
    assert (execution.status, execution.plan.done) == ("paused", False)
    assert 0 < execution.plan.shards < 6
    async with engine.working():
        await engine.eventually(parked(engine, execution_id))
        assert engine.sends() == []
        await engine.steer(CampaignResumed, started)
        assert await make_planner(engine.wiring).run_once("other")
        await engine.ended(execution_id)
    assert engine.deliveries() == Counter(range(1, 301))
    assert (await engine.execution(execution_id)).plan.targeted == 300


async def test_a_worker_killed_before_or_during_a_pause_leaves_at_most_its_window_unknown(
    engine: Any,
) -> None:
    await engine.contacts(range(1, 121))
    started = engine.started()
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    worker = Worker(engine.wiring, owner="killed")
    now, loop = engine.wiring.clock.now(), asyncio.get_running_loop()
    lease = await engine.wiring.shards.lease("killed", now=now, seconds=15, deadline=loop.time() + 15)
    turn = candidates(lease.state, limit=10, now=now)
    execution = await engine.execution(execution_id)
    hours = await engine.wiring.hours.hours(execution)
    prepared = await PrepareWindow(
        engine.wiring.contacts, engine.wiring.recent_segments, engine.wiring.links
    )(execution, lease, turn, hours=hours, now=now)
    await worker.run_shard.turn.record.open(lease, await engine.execution(execution_id), prepared)
    await worker.close()
    await engine.steer(CampaignPaused, started)
    past = now - timedelta(seconds=1)
    await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": past}})
    async with engine.working():
        await engine.eventually(parked(engine, execution_id))
        assert engine.sends() == []
        assert (await engine.counts(execution_id))["unknown"] == 10
        await engine.steer(CampaignResumed, started)
        await engine.ended(execution_id)
    assert await engine.ledger_agrees(execution_id) == {
        "successful": 110, "failed": 0, "skipped": 0, "unknown": 10,
    }  # fmt: skip
    assert set(engine.deliveries().values()) == {1}
    assert len(engine.deliveries()) == 110


async def test_an_execution_paused_with_nobody_left_completes_when_it_is_resumed(engine: Any) -> None:
    await engine.contacts(range(1, 31))
    started = engine.started()
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    if_complete = engine.wiring.finish.if_complete

    async def pause_first(execution: Any) -> bool:
        """The pause comes between the last outcome and the completion."""
        engine.wiring.finish.if_complete = if_complete
        await engine.steer(CampaignPaused, started)
        return await if_complete(execution)  # type: ignore[no-any-return]

    engine.wiring.finish.if_complete = pause_first
    async with engine.working():
        await engine.ended(execution_id, "paused")
    await engine.wiring.finish.sweep()
    assert (await engine.execution(execution_id)).status == "paused"
    assert await completions(engine) == 0
    await engine.steer(CampaignResumed, started)
    assert (await engine.execution(execution_id)).status == "completed"
    assert await completions(engine) == 1


async def test_an_execution_that_completed_first_stays_completed(engine: Any) -> None:
    await engine.contacts(range(1, 11))
    started = engine.started()
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working():
        await engine.ended(execution_id)
    for kind in (CampaignPaused, CampaignResumed):
        await engine.steer(kind, started)
        assert (await engine.execution(execution_id)).status == "completed"
    assert await completions(engine) == 1


async def test_an_event_twice_or_out_of_its_order_changes_nothing(engine: Any) -> None:
    started, execution_id = await paused_with_one_shard(engine)
    resumed = await engine.steer(CampaignResumed, started)
    with pytest.raises(AlreadyHandled):
        await engine.handle(resumed)
    # A pause that was parked by the consumer, and is replayed after the resumption that followed it.
    old = engine.event(
        CampaignPaused(
            campaign_id=started.data.campaign_id, name="Sale", type="message", status="paused",
            execution_id=execution_id, paused_at=engine.wiring.clock.now(),
        )
    )  # fmt: skip
    await engine.handle(old.model_copy(update={"sequence": resumed.sequence - 1}))
    assert (await engine.execution(execution_id)).status == "running"
