"""What ends an execution from outside: its campaign's end, a cancellation, a deletion, a failure and its mending."""

import time
from collections import Counter
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCancelled,
    CampaignDeleted,
    CampaignPaused,
    CampaignResumed,
    CampaignUpdated,
)
from contracts.events.delivery import DeliveryRecorded
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from execution_service.bootstrap_engine import make_planner
from service_kit.errors import Poison

pytestmark = pytest.mark.integration


async def planned(engine: Any, started: Any) -> str:
    execution_id: str = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    return execution_id


async def codes(engine: Any, execution_id: str) -> dict[str, int]:
    return dict((await engine.wiring.shards.sums(execution_id)).errors)


async def test_nothing_is_sent_after_the_end_and_what_remains_is_skipped_in_few_windows(engine: Any) -> None:
    slow = await engine.new_bot(per_second=40)
    await engine.contacts(range(1, 401))
    end = engine.wiring.clock.now() + timedelta(seconds=3)
    execution_id = await planned(engine, engine.started(bot_id=slow.bot_id, end_date=end))
    async with engine.working():
        await engine.ended(execution_id)
    counts = await engine.ledger_agrees(execution_id)
    sends = engine.sends(slow)
    assert 0 < len(sends) < 400
    assert max(row["at"] for row in sends) < end.timestamp() + 0.05  # under way when the end came
    assert counts["successful"] == len(sends)
    assert await codes(engine, execution_id) == {"CAMPAIGN_ENDED": counts["skipped"]}
    assert counts["successful"] + counts["skipped"] == 400
    told = [event.data for event in await engine.events() if isinstance(event.data, DeliveryRecorded)]
    skipping = [data for data in told if any(row.error_code for row in data.tally)]
    assert len(skipping) <= 8, "one window for all that a shard still had"


async def test_who_is_planned_after_the_end_counts_as_targeted_and_is_skipped(engine: Any) -> None:
    await engine.contacts(range(1, 101))
    execution_id = await planned(engine, engine.started(messages=2, end_date=engine.wiring.clock.now()))
    async with engine.working():
        await engine.ended(execution_id)
    assert await engine.ledger_agrees(execution_id) == {
        "successful": 0, "failed": 0, "skipped": 100, "unknown": 0,
    }  # fmt: skip
    assert engine.sends() == []
    completed = [event.data for event in await engine.events() if isinstance(event.data, ExecutionCompleted)]
    assert [(data.totals.targeted, data.totals.skipped) for data in completed] == [(100, 100)]


async def test_an_end_that_is_moved_reaches_shards_that_wait_for_a_silenced_bot(engine: Any) -> None:
    await engine.contacts(range(1, 101))
    started = engine.started()
    execution_id = await planned(engine, started)
    in_an_hour = engine.wiring.clock.now() + timedelta(hours=1)
    await engine.database["bot_waits"].insert_one({"_id": engine.bot.telegram_id, "until": in_an_hour})
    async with engine.working():

        async def all_wait() -> bool:
            waiting = {"state": "pending", "dueAt": {"$gt": engine.wiring.clock.now() + timedelta(minutes=1)}}
            return bool(await engine.database["shards"].count_documents(waiting) == 2)

        await engine.eventually(all_wait)
        end = engine.wiring.clock.now()
        await engine.steer(
            CampaignUpdated, started, changed=["endDate"], audience=AudienceDefinition(), end_date=end
        )
        await engine.wiring.finish.sweep()
        await engine.ended(execution_id)
    assert await codes(engine, execution_id) == {"CAMPAIGN_ENDED": 100}


async def test_a_paused_execution_stays_paused_over_the_end_and_completes_when_it_is_resumed(
    engine: Any,
) -> None:
    await engine.contacts(range(1, 101))
    end = engine.wiring.clock.now() + timedelta(seconds=0.3)
    started = engine.started(end_date=end)
    execution_id = await engine.accept(started)
    await engine.steer(CampaignPaused, started)
    async with engine.working():

        async def over() -> bool:
            return bool(engine.wiring.clock.now() > end)

        await engine.eventually(over)
        await engine.wiring.finish.sweep()
        assert (await engine.execution(execution_id)).status == "paused"
        await engine.steer(CampaignResumed, started)
        assert await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    assert await codes(engine, execution_id) == {"CAMPAIGN_ENDED": 100}
    assert engine.sends() == []


async def test_a_cancelled_execution_sends_to_nobody_else_and_what_was_pending_stays_so(engine: Any) -> None:
    slow = await engine.new_bot(per_second=40)
    await engine.contacts(range(1, 401))
    started = engine.started(bot_id=slow.bot_id)
    execution_id = await planned(engine, started)
    async with engine.working():

        async def some() -> bool:
            return len(engine.sends(slow)) >= 20

        await engine.eventually(some)
        await engine.steer(CampaignCancelled, started, status="cancelled")
        cancelled_at = time.time()

        async def all_parked() -> bool:
            return set(await engine.states(execution_id)) <= {"parked", "done"}

        await engine.eventually(all_parked)
        assert engine.sends(slow)[-1]["at"] - cancelled_at < 2
        await engine.steer(CampaignResumed, started)
        await engine.wiring.finish.sweep()
    execution = await engine.execution(execution_id)
    assert (execution.status, execution.finished_at is not None) == ("cancelled", True)
    sums = await engine.wiring.shards.sums(execution_id)
    assert sums.targeted == 400
    assert sums.processed == len(engine.sends(slow)) < 400
    assert not any(isinstance(event.data, ExecutionCompleted) for event in await engine.events())


async def test_deleting_a_campaign_stops_its_test_and_every_other_run(engine: Any) -> None:
    await engine.contacts(range(1, 51), tester=True)
    test = engine.started(test_mode=True)
    test_id = await planned(engine, test)
    other_id = await engine.accept(engine.started(campaign_id=test.data.campaign_id))
    unrelated_id = await engine.accept(engine.started())
    await engine.steer(CampaignDeleted, test, status="draft", execution_id=None)
    assert (await engine.execution(test_id)).status == "cancelled"
    assert (await engine.execution(other_id)).status == "cancelled"
    assert (await engine.execution(unrelated_id)).status == "planning"


async def test_mending_a_failed_execution_sends_exactly_to_those_who_are_pending(engine: Any) -> None:
    slow = await engine.new_bot(per_second=100)
    await engine.contacts(range(1, 301))
    started = engine.started(bot_id=slow.bot_id)
    execution_id = await planned(engine, started)
    async with engine.working():

        async def some() -> bool:
            return len(engine.sends(slow)) >= 50

        await engine.eventually(some)
        engine.telegram.configure(unauthorized_tokens=[engine.wiring.bots.token(slow)])
        await engine.ended(execution_id, "failed")
        failed = await engine.execution(execution_id)
        await engine.steer(CampaignResumed, started)  # of a failure that campaign-service knew nothing of yet
        assert (await engine.execution(execution_id)).status == "failed"
        mended = started.data.snapshot.model_copy(
            update={
                "bot_id": engine.bot.bot_id,
                "messages": [started.data.snapshot.messages[0].model_copy(update={"content": "Mended"})],
            }
        )
        await engine.steer(CampaignResumed, started, snapshot=mended)
        await engine.wiring.finish.fail(failed, "BOT_UNAUTHORIZED")  # news of the life before
        await engine.ended(execution_id)
    before, after = engine.deliveries(slow), engine.deliveries()
    assert before + after == Counter(range(1, 301))
    assert before
    mended_text = sha256(b"Mended").hexdigest()
    assert {row["text_sha256"] for row in engine.sends()} == {mended_text}
    assert mended_text not in {row["text_sha256"] for row in engine.sends(slow)}
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": 300, "failed": 0, "skipped": 0, "unknown": 0}
    told = [event.data for event in await engine.events()]
    assert sum(isinstance(data, ExecutionFailed) for data in told) == 1
    assert sum(isinstance(data, ExecutionCompleted) for data in told) == 1
    execution = await engine.execution(execution_id)
    assert (execution.life, execution.failure, execution.bots[0].telegram_id) == (
        2,
        None,
        engine.bot.telegram_id,
    )


async def test_a_failure_before_planning_is_mended_by_planning_the_audience_of_the_new_snapshot(
    engine: Any,
) -> None:
    await engine.contacts(range(1, 21), segments=["a"])
    await engine.contacts(range(21, 31), segments=["b"])
    started = engine.started(segments=["a"], audience={"filters": {"ageRange": "young"}})
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    failed = await engine.execution(execution_id)
    assert failed.failure[0] == "AUDIENCE_INVALID"
    snapshot = started.data.snapshot.model_copy(
        update={
            "audience": AudienceDefinition(segments=["b"]),
            "messages": started.data.snapshot.messages * 2,
        }
    )
    await engine.steer(CampaignResumed, started, snapshot=snapshot)
    async with engine.working():
        assert await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    assert set(engine.deliveries()) == set(range(21, 31))
    state = await engine.database["shards"].find_one({"executionId": execution_id})
    assert state["steps"] == 2


async def test_a_planner_of_the_life_before_plans_nobody_of_the_next(engine: Any) -> None:
    await engine.contacts(range(1, 301), segments=["a"])
    await engine.contacts(range(301, 321), segments=["b"])
    started = engine.started(segments=["a"])
    execution_id = await engine.accept(started)

    async def mend() -> None:
        await engine.wiring.finish.fail(await engine.execution(execution_id), "BOT_UNAUTHORIZED")
        mended = started.data.snapshot.model_copy(update={"audience": AudienceDefinition(segments=["b"])})
        await engine.steer(CampaignResumed, started, snapshot=mended)

    assert await engine.interrupted("con_000130", mend).run_once("planner")
    before = (await engine.execution(execution_id)).plan
    assert (before.done, before.targeted) == (False, 100)
    assert await make_planner(engine.wiring).run_once("other")
    after = (await engine.execution(execution_id)).plan
    assert (after.done, after.targeted) == (True, 120)


async def test_a_snapshot_with_other_messages_is_poison_once_contacts_are_planned(engine: Any) -> None:
    await engine.contacts(range(1, 11))
    started = engine.started()
    execution_id = await planned(engine, started)
    await engine.wiring.finish.fail(await engine.execution(execution_id), "BOT_MISSING")
    longer = started.data.snapshot.model_copy(update={"messages": started.data.snapshot.messages * 2})
    with pytest.raises(Poison):
        await engine.steer(CampaignResumed, started, snapshot=longer)
    assert (await engine.execution(execution_id)).status == "failed"
