"""Bots as campaigns use them: several at a time, paid or not, each chat in its own time, and told to wait."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from contracts.events.campaign import CampaignResumed, Retry
from execution_service.application.ports_sending import Deferred, Slot
from execution_service.application.prepare_window import PrepareWindow
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_progress import progress_parts
from execution_service.bootstrap_worker import Worker
from execution_service.domain.sampling import share_out
from execution_service.domain.window import candidates
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
FREE = {"per_chat_per_second": 1_000}


async def test_each_contact_stays_with_one_of_several_bots_whatever_is_tried_again(engine: Any) -> None:
    engine.telegram.configure(server_error_share=0.1)
    bots = [await engine.new_bot(**FREE) for _ in range(3)]
    await engine.contacts(range(1, 301))
    execution_id = await engine.planned(bots=bots, messages=2)
    async with engine.working(), engine.working("other"):
        await engine.ended(execution_id)
    assert await engine.counts(execution_id) == {"successful": 300, "failed": 0, "skipped": 0, "unknown": 0}
    served = [engine.deliveries(bot) for bot in bots]
    shared = share_out([f"con_{number:06d}" for number in range(1, 301)], 3, by=str)
    for place, chats in enumerate(served):
        assert chats == Counter({int(contact.removeprefix("con_")): 2 for contact in shared[place]})
        assert 60 < len(chats) < 140
    assert not engine.sends()  # the default one is none of them


async def test_a_retry_finds_each_contact_with_the_bot_that_it_had(engine: Any) -> None:
    blocked = list(range(1, 121, 2))
    engine.telegram.configure(blocked_chats=blocked)
    bots = [await engine.new_bot() for _ in range(2)]
    await engine.contacts(range(1, 121))
    first = engine.started(bots=bots)
    async with engine.working():
        for event in (
            first,
            engine.started(
                campaign_id=first.data.campaign_id,
                bots=bots,
                retry=Retry(of=first.data.execution_id, statuses=["failed"]),
            ),
        ):
            execution_id = await engine.accept(event)
            assert await make_planner(engine.wiring).run_once("planner")
            await engine.ended(execution_id)
            engine.telegram.configure()
    assert await engine.counts(execution_id) == {"successful": 60, "failed": 0, "skipped": 0, "unknown": 0}
    tried = [Counter(row["chat_id"] for row in engine.sends(bot)) for bot in bots]
    assert tried[0] + tried[1] == Counter(blocked) + Counter(range(1, 121))
    assert not tried[0].keys() & tried[1].keys()


async def test_an_execution_one_of_whose_bots_is_missing_does_not_begin(engine: Any) -> None:
    await engine.contacts(range(1, 11))
    bots = [engine.bot, await engine.new_bot()]
    await engine.database["bots"].delete_one({"_id": bots[1].bot_id})
    execution_id = await engine.accept(engine.started(bots=bots))
    assert await make_planner(engine.wiring).run_once("planner")
    execution = await engine.execution(execution_id)
    assert (execution.status, execution.failure[0]) == ("failed", "BOT_MISSING")


async def test_a_mended_execution_with_fewer_bots_sends_everybody_elses_share_with_those(engine: Any) -> None:
    bots = [await engine.new_bot(**FREE) for _ in range(3)]
    token = engine.wiring.bots.token(bots[1])
    engine.telegram.configure(unauthorized_tokens=[token])
    await engine.contacts(range(1, 151))
    started = engine.started(bots=bots)
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working():
        await engine.ended(execution_id, "failed")
        mended = started.data.snapshot.model_copy(update={"bot_ids": [bots[0].bot_id, bots[2].bot_id]})
        await engine.steer(CampaignResumed, started, snapshot=mended)
        await engine.ended(execution_id)
    assert await engine.ledger_agrees(execution_id) == {
        "successful": 150, "failed": 0, "skipped": 0, "unknown": 0,
    }  # fmt: skip
    assert engine.deliveries(bots[0]) + engine.deliveries(bots[2]) == Counter(range(1, 151))


async def test_paid_messages_are_sent_at_their_own_rate_and_say_so(engine: Any) -> None:
    engine.telegram.configure(bot_per_second=2, paid_per_second=400)
    bot = await engine.new_bot(per_second=2, paid_per_second=300)
    await engine.contacts(range(1, 201))
    execution_id = await engine.planned(bots=[bot], paid=True)  # unpaid it would take 100 s
    async with engine.working():
        await engine.ended(execution_id)
    assert engine.deliveries(bot) == Counter(range(1, 201))
    assert {row["status"] for row in engine.sends(bot)} == {200}


async def test_a_bot_that_may_not_pay_sends_unpaid(engine: Any) -> None:
    engine.telegram.configure(paid_per_second=1)
    bot = await engine.new_bot(per_second=300, paid_per_second=0)
    await engine.contacts(range(1, 51))
    execution_id = await engine.planned(bots=[bot], paid=True)
    async with engine.working():
        await engine.ended(execution_id)
    assert {row["status"] for row in engine.sends(bot)} == {200}


async def test_two_executions_that_address_the_same_chats_keep_each_chats_limit(engine: Any) -> None:
    engine.telegram.configure(chat_per_second=1, group_per_minute=20)
    people, groups = range(1, 41), (-1001, -1002)
    await engine.contacts([*people, *groups])
    executions = [await engine.planned() for _ in range(2)]
    async with engine.working(), engine.working("other"):
        for execution_id in executions:
            await engine.ended(execution_id)
    for execution_id in executions:
        assert (await engine.ledger_agrees(execution_id))["successful"] == len(people) + len(groups)
    assert {row["status"] for row in engine.sends()} == {200}
    assert engine.deliveries() == Counter(dict.fromkeys((*people, *groups), 2))
    times: dict[int, list[float]] = {}
    for row in engine.sends():
        times.setdefault(row["chat_id"], []).append(row["at"])
    assert all(second - first >= 1 for first, second in times.values())
    assert all(times[group][1] - times[group][0] >= 2.95 for group in groups)


async def test_a_deferred_letter_waits_durably_and_a_crash_makes_it_neither_lost_nor_unknown(
    engine: Any,
) -> None:
    await engine.contacts(range(1, 11))
    execution_id = await engine.planned()
    now, loop = engine.wiring.clock.now(), asyncio.get_running_loop()
    lease = await engine.wiring.shards.lease("dying", now=now, seconds=15, deadline=loop.time() + 15)
    turn = candidates(lease.state, limit=10, now=now)
    execution = await engine.execution(execution_id)
    hours = await engine.wiring.hours.hours(execution)
    prepared = await PrepareWindow(
        engine.wiring.contacts, engine.wiring.recent_segments, engine.wiring.links
    )(execution, lease, turn, hours=hours, now=now)
    soon = loop.time()
    turns = [Slot(soon, soon, 1.0), Deferred(soon + 1), Slot(soon, soon, 2.0)]
    dying = Worker(engine.wiring, owner="dying")
    window = await dying.run_shard.turn.record.open(
        lease, await engine.execution(execution_id), prepared.granted(turns, lambda _: now)
    )
    await dying.close()
    assert list(window.positions) == [0, 2]
    stored = await engine.database["shards"].find_one({"_id": lease.shard_id})
    assert (stored["next"], [row[:3] for row in stored["retry"]]) == (3, [[1, 0, 0]])
    await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": now}})
    async with engine.working():
        await engine.ended(execution_id)
    assert await engine.ledger_agrees(execution_id) == {
        "successful": 8, "failed": 0, "skipped": 0, "unknown": 2,
    }  # fmt: skip
    assert engine.deliveries() == Counter({*range(1, 11)} - {1, 3})


async def test_a_wait_that_telegram_asks_for_outlives_the_limiter_and_the_worker(engine: Any) -> None:
    engine.telegram.configure(bot_per_second=20)
    await engine.contacts(range(1, 101))
    execution_id = await engine.planned()

    async def waits() -> Any:
        return await engine.database["bot_waits"].find_one({"_id": engine.bot.telegram_id})

    async with engine.working():
        await eventually(waits, bool)
    # Nothing was lost or used up, and the wait is here, though the server that shares it is emptied.
    rows = await engine.database["shards"].find({"executionId": execution_id}).to_list(None)
    assert {tuple(waiting[1:3]) for row in rows for waiting in row["retry"]} == {(0, 0)}
    assert not await engine.database["windows"].count_documents({"state": "intent"})
    engine.telegram.configure()
    until = engine.wiring.clock.now().timestamp() + 3
    await engine.database["bot_waits"].update_one(
        {"_id": engine.bot.telegram_id}, {"$max": {"until": datetime.fromtimestamp(until, UTC)}}
    )
    before = len(engine.sends())
    async with engine.working("heir") as worker:
        await worker.redis.delete(
            *[key async for key in worker.redis.scan_iter(f"*{engine.bot.telegram_id}*")]
        )
        await engine.ended(execution_id)
    assert all(row["at"] >= until for row in engine.sends()[before:])
    assert engine.deliveries() == Counter(range(1, 101))


async def test_before_anything_was_sent_the_end_is_estimated_from_the_share_of_the_bots(engine: Any) -> None:
    await engine.contacts(range(1, 101))
    bots = [await engine.new_bot(per_second=10), await engine.new_bot(per_second=20)]
    show = progress_parts(engine.wiring).show
    first, second = engine.started(bots=bots), engine.started(bots=bots[:1], priority="high")
    for event in (first, second):
        await engine.accept(event)
        assert await make_planner(engine.wiring).run_once("planner")
    for event, allowed in ((first, 10 * 2 / 6 + 20), (second, 10 * 4 / 6)):
        before = engine.wiring.clock.now().timestamp()
        shown = await show.progress("acme", event.data.campaign_id, None, deleted_too=False)
        assert shown.estimated_completion.timestamp() - before == pytest.approx(100 / allowed, abs=1)
