"""Guard rails on real parts: who blocks too often, or refuses the content, holds the execution."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.events.campaign import CampaignResumed
from contracts.events.execution import ExecutionPaused
from execution_service.application.guard_execution import GuardExecution
from execution_service.application.ports_engine import Window
from execution_service.bootstrap_engine import make_planner
from execution_service.domain.org_settings import GuardRails, OrgSettings
from execution_service.domain.outcomes import Candidate, Final

pytestmark = pytest.mark.integration
RAILS = GuardRails(blocked_percent=10, blocked_of=40, equal_errors=20)


async def guarded(engine: Any) -> None:
    settings = OrgSettings("acme", guard_rails=RAILS, updated_at=datetime.now(UTC), version=1)
    await engine.wiring.transactions.run(lambda tx: engine.wiring.org_settings.put(tx, settings))


async def pauses(engine: Any) -> list[ExecutionPaused]:
    return [event.data for event in await engine.events() if isinstance(event.data, ExecutionPaused)]


def guard(engine: Any) -> GuardExecution:
    """As a worker of its own has it."""
    wiring = engine.wiring
    return GuardExecution(
        settings=wiring.recent_settings,
        executions=wiring.executions,
        shards=wiring.shards,
        ledger=wiring.ledger,
        transactions=wiring.transactions,
        outbox=wiring.outbox,
        clock=wiring.clock,
    )


async def parked(engine: Any, execution_id: str) -> bool:
    """Whether no shard is leased or waits to be."""
    return set(await engine.states(execution_id)) <= {"parked", "done"}


async def recorded(engine: Any, execution_id: str, count: int) -> bool:
    return sum((await engine.counts(execution_id)).values()) >= count


async def window(engine: Any, number: int, at: datetime, count: int) -> None:
    """A window of `exec_1` with so many answers at `at`, and one who was skipped, recorded a second later."""
    ledger = engine.wiring.ledger
    one = Window(
        "exec_1:0", "exec_1", number, 0, 0, "m", 1, [Candidate(place) for place in range(count + 1)], [], at
    )
    finals = [Final(place, "successful", at, sent=True) for place in range(count)]
    finals.append(Final(count, "skipped", at, "OPTED_OUT"))

    async def work(tx: Any) -> None:
        await ledger.open(tx, one)
        await ledger.record(tx, one, finals, epoch=1, at=at + timedelta(seconds=1))

    await engine.wiring.transactions.run(work)


async def test_an_execution_that_many_block_is_held_once_and_counts_anew_after_a_resume(
    engine: Any, simulator: Any
) -> None:
    await guarded(engine)
    bot = await engine.new_bot(per_second=150)
    await engine.contacts(range(1, 401))
    simulator.configure(blocked_chats=list(range(1, 401, 4)))
    started = engine.started(bot_id=bot.bot_id)
    execution_id = await engine.accept(started)
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working(), engine.working("second"):
        await engine.ended(execution_id, "paused")
        await engine.eventually(lambda: parked(engine, execution_id))
        first = len(engine.sends(bot))
        [told] = await pauses(engine)
        assert told.reason.code == "GUARD_BLOCKED" and "of the last 40 answers" in told.reason.message
        assert (told.execution_id, told.followed) == (execution_id, started.sequence)
        assert 40 <= first < 400
        await engine.steer(CampaignResumed, started)
        await engine.ended(execution_id, "paused")
        await engine.eventually(lambda: parked(engine, execution_id))
        assert len(engine.sends(bot)) - first >= 40, "counted anew"
        assert len(await pauses(engine)) == 2
        simulator.configure()
        await engine.steer(CampaignResumed, started)
        await engine.ended(execution_id)
    assert len(await pauses(engine)) == 2
    assert set(engine.deliveries(bot).values()) == {1}
    counts = await engine.ledger_agrees(execution_id)
    assert counts["successful"] + counts["failed"] == 400


async def test_refused_content_holds_an_execution_and_no_test_run(engine: Any) -> None:
    await guarded(engine)
    await engine.contacts(range(1, 101), tester=True)
    too_long = "x" * 5_000
    for test_mode in (True, False):
        started = engine.started(test_mode=test_mode)
        message = started.data.snapshot.messages[0].model_copy(update={"content": too_long})
        snapshot = started.data.snapshot.model_copy(update={"messages": [message]})
        started = started.model_copy(update={"data": started.data.model_copy(update={"snapshot": snapshot})})
        execution_id = await engine.accept(started)
        assert await make_planner(engine.wiring).run_once("planner")
        async with engine.working():
            await engine.ended(execution_id, "completed" if test_mode else "paused")
    [told] = await pauses(engine)
    assert told.execution_id == execution_id
    assert told.reason.code == "GUARD_CONTENT" and "MESSAGE_TOO_LONG" in told.reason.message


async def test_several_workers_that_decide_at_once_and_one_that_died_before_it_hold_it_once(
    engine: Any, simulator: Any
) -> None:
    await guarded(engine)
    await engine.contacts(range(1, 151))
    simulator.configure(blocked_chats=list(range(1, 151)))
    execution_id = await engine.accept(engine.started())
    assert await make_planner(engine.wiring).run_once("planner")
    async with engine.working() as worker:

        async def dies(*args: Any) -> bool:
            return False

        worker.run_shard.turn.guard = dies
        await engine.eventually(lambda: recorded(engine, execution_id, 75))
    assert (await engine.execution(execution_id)).status == "running"
    last = [Final(0, "failed", engine.wiring.clock.now(), "USER_BLOCKED", sent=True)]
    execution = await engine.execution(execution_id)
    held = await asyncio.gather(*(guard(engine)(execution, last) for _ in range(5)))
    assert sorted(held) == [False] * 4 + [True]
    assert len(await pauses(engine)) == 1


async def test_the_ledger_knows_the_latest_answers_however_long_ago_they_came(engine: Any) -> None:
    began = datetime(2026, 6, 1, tzinfo=UTC)
    for number, (second, count) in enumerate([(0, 40), (60, 5), (61, 5), (3_600, 30), (3_601, 3)]):
        await window(engine, number, began + timedelta(seconds=second), count)
    now, ledger = began + timedelta(seconds=3_602), engine.wiring.ledger
    for since, enough, expected in ((0, 3, 3), (0, 32, 33), (0, 36, 38), (0, 500, 83), (3_600.5, 40, 3)):
        begin = began + timedelta(seconds=since)
        found = await ledger.answers("exec_1", since=begin, now=now, enough=enough)
        times = [final.at for final in found]
        assert times == sorted(times) and min(times) >= begin
        assert len(found) >= expected and {final.status for final in found} == {"successful"}
        if enough == 500 or since:
            assert len(found) == expected
