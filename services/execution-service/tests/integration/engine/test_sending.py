"""Sending: nobody twice, nobody lost, whatever Telegram answers and whoever dies."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import pytest
from contracts.events.delivery import DeliveryRecorded
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from execution_service.application.counts import Counts
from execution_service.application.ports_engine import LeaseLost, ShardLease
from execution_service.application.prepare_window import PrepareWindow
from execution_service.application.record_window import RecordWindow
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_worker import Worker
from execution_service.domain.outcomes import Final
from execution_service.domain.window import candidates
from execution_service.metrics_engine import PrometheusObserver
from pymongo.errors import AutoReconnect
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
T = TypeVar("T")
STATUSES = ("successful", "failed", "skipped", "unknown")


async def test_every_contact_has_the_outcome_that_telegram_saw(engine: Any) -> None:
    engine.telegram.configure(
        blocked_share=0.05, not_found_share=0.02, server_error_share=0.03, dropped_share=0.02,
        burst_429_every_seconds=1.2, burst_429_length_seconds=0.1, burst_429_retry_after=1, seed=7,
    )  # fmt: skip
    await engine.contacts(range(1, 401))
    await engine.contacts(range(401, 411), opted_out=True)
    execution_id = await engine.accept(engine.started())
    async with engine.working():
        assert await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    counts = await engine.ledger_agrees(execution_id)
    assert sum(counts.values()) == 410
    assert counts["skipped"] == 10
    delivered = engine.deliveries()
    assert set(delivered.values()) == {1}
    # An answer that was dropped is unknown to us, whether it was delivered or not.
    assert counts["successful"] <= len(delivered) <= counts["successful"] + counts["unknown"]
    page = await engine.wiring.pages.page(
        execution_id, status="successful", code=None, limit=1000, cursor=None
    )
    assert {int(row.contact_id.removeprefix("con_")) for row in page.rows} <= set(delivered)
    completed = [event.data for event in await engine.events() if isinstance(event.data, ExecutionCompleted)]
    assert [event.totals.model_dump() for event in completed] == [{"targeted": 410, **counts}]
    tasks = [event.data for event in await engine.events() if isinstance(event.data, DeliveryRecorded)]
    assert sum(task.shard_completed for task in tasks) == (await engine.execution(execution_id)).plan.shards


def recorder(engine: Any, transactions: Any = None) -> RecordWindow:
    return RecordWindow(
        shards=engine.wiring.shards,
        ledger=engine.wiring.ledger,
        transactions=transactions or engine.wiring.transactions,
        outbox=engine.wiring.outbox,
        clock=engine.wiring.clock,
        observer=PrometheusObserver(),
        counts=Counts(spending=engine.wiring.spending, sends=engine.wiring.recent_sends),
        lease_seconds=15,
    )


async def leased(engine: Any, owner: str = "dying") -> ShardLease:
    """A shard in the hands of a worker that this test plays."""
    now = engine.wiring.clock.now()
    deadline = asyncio.get_running_loop().time() + 15
    lease = await engine.wiring.shards.lease(owner, now=now, seconds=15, deadline=deadline)
    assert lease is not None
    return lease  # type: ignore[no-any-return]


async def expire(engine: Any, lease: ShardLease) -> None:
    """Time goes by for this lease."""
    past = engine.wiring.clock.now() - timedelta(seconds=1)
    await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": past}})


async def opened(engine: Any, lease: ShardLease, execution_id: str, size: int = 10) -> Any:
    """The lease's next window, its intent stored."""
    execution = await engine.execution(execution_id)
    now = engine.wiring.clock.now()
    turn = candidates(lease.state, limit=size, now=now)
    hours = await engine.wiring.hours.hours(execution)
    prepared = await PrepareWindow(
        engine.wiring.contacts, engine.wiring.recent_segments, engine.wiring.links
    )(execution, lease, turn, hours=hours, now=now)
    return await recorder(engine).open(lease, execution, prepared)


async def test_a_worker_that_dies_with_a_window_open_leaves_it_unknown_and_nobody_gets_it_twice(
    engine: Any,
) -> None:
    await engine.contacts(range(1, 121))
    execution_id = await engine.planned()
    lease = await leased(engine)
    window = await opened(engine, lease, execution_id)
    intended = {lease.contacts[position] for position in window.positions}
    await expire(engine, lease)
    async with engine.working():
        await engine.ended(execution_id)
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": 110, "failed": 0, "skipped": 0, "unknown": 10}
    page = await engine.wiring.pages.page(execution_id, status="unknown", code=None, limit=100, cursor=None)
    assert {row.contact_id for row in page.rows} == intended
    assert {row.error_code for row in page.rows} == {"DELIVERY_UNKNOWN"}
    delivered = engine.deliveries()
    assert len(delivered) == 110
    assert set(delivered.values()) == {1}
    assert not {f"con_{chat:06d}" for chat in delivered} & intended


async def test_who_asks_for_it_has_messages_without_an_answer_tried_again_those_of_a_dead_worker_too(
    engine: Any,
) -> None:
    engine.telegram.configure(dropped_share=0.2, seed=3)
    await engine.contacts(range(1, 121))
    execution_id = await engine.planned(retry_unknown=True)
    lease = await leased(engine)
    await opened(engine, lease, execution_id)
    await expire(engine, lease)
    async with engine.working():
        await engine.ended(execution_id)
    sends = Counter(row["chat_id"] for row in engine.sends())
    unanswered = Counter(row["chat_id"] for row in engine.sends() if row["status"] is None)
    abandoned = {lease.contacts[position] for position in range(10)}
    for chat in range(1, 121):  # a try for each answer that never came, and one that the dead worker used up
        tries = unanswered[chat] + (f"con_{chat:06d}" in abandoned)
        assert sends[chat] == unanswered[chat] + (tries < 3)
    counts = await engine.ledger_agrees(execution_id)
    assert counts["successful"] + counts["unknown"] == 120
    assert counts["successful"] == sum(sends[chat] > unanswered[chat] for chat in range(1, 121))
    assert len(engine.deliveries()) == 120
    assert max(engine.deliveries().values()) > 1  # which is what it may cost


async def everything(engine: Any) -> dict[str, Any]:
    return {
        name: await engine.database[name].find().sort("_id", 1).to_list(None)
        for name in ("shards", "windows", "outbox", "executions")
    }


async def test_a_worker_that_lost_its_lease_changes_nothing(engine: Any) -> None:
    await engine.contacts(range(1, 31))
    execution_id = await engine.planned()
    execution = await engine.execution(execution_id)
    late = await leased(engine, "late")
    window = await opened(engine, late, execution_id)
    await expire(engine, late)
    heir = await leased(engine, "heir")
    assert heir.shard_id == late.shard_id
    results = [Final(position, "successful", execution.created_at) for position in window.positions]

    before = await everything(engine)
    for attempt in (
        lambda: recorder(engine).close(late, execution, window, results),
        lambda: opened(engine, late, execution_id),
        lambda: engine.wiring.shards.renew(late, until=engine.wiring.clock.now()),
    ):
        with pytest.raises(LeaseLost):
            await attempt()
    await engine.wiring.shards.release(late, due=engine.wiring.clock.now())
    await engine.wiring.shards.park(late)
    assert await everything(engine) == before

    abandoned = await engine.wiring.ledger.left_open(heir)
    assert abandoned is not None
    await recorder(engine).abandon(heir, execution, abandoned)
    before = await everything(engine)
    with pytest.raises(LeaseLost):
        await recorder(engine).close(late, execution, window, results)
    assert await everything(engine) == before


class AnswerLost:
    """Transactions that commit, but whose answer is lost every second time."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.lost = 0
        self._calls = 0

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        answer: T = await self._inner.run(work)
        self._calls += 1
        if self._calls % 2:
            self.lost += 1
            raise AutoReconnect("connection closed")
        return answer


async def test_a_commit_whose_answer_is_lost_takes_effect_once(engine: Any) -> None:
    await engine.contacts(range(1, 101))
    execution_id = await engine.planned()
    worker = Worker(engine.wiring, owner="worker")
    flaky = AnswerLost(engine.wiring.transactions)
    worker.run_shard.turn.record = recorder(engine, flaky)
    running = asyncio.create_task(worker.run())
    await engine.ended(execution_id)
    running.cancel()
    await asyncio.wait({running})
    await worker.close()
    assert flaky.lost >= 8  # four windows, opened and closed
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": 100, "failed": 0, "skipped": 0, "unknown": 0}
    assert engine.deliveries() == Counter(range(1, 101))


def some_windows(engine: Any, count: int) -> Callable[[], Awaitable[bool]]:
    """Whether so many windows have been opened."""

    async def check() -> bool:
        return bool(await engine.database["windows"].count_documents({}) >= count)

    return check


async def test_a_worker_that_is_told_to_stop_leaves_nothing_unknown(engine: Any) -> None:
    engine.telegram.configure(slow_share=0.2, slow_seconds=0.3)
    await engine.contacts(range(1, 401))
    execution_id = await engine.planned()
    for round_ in range(3):
        async with engine.working(f"worker-{round_}"):
            await engine.eventually(some_windows(engine, 2 * (round_ + 1)))
        assert not await engine.database["windows"].count_documents({"state": "intent"})
        assert not await engine.database["shards"].count_documents({"state": "leased"})
    async with engine.working("last"):
        await engine.ended(execution_id)
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": 400, "failed": 0, "skipped": 0, "unknown": 0}
    assert engine.deliveries() == Counter(range(1, 401))


async def test_a_refused_token_fails_the_execution_and_leaves_the_rest_pending(engine: Any) -> None:
    token = engine.wiring.bots.token(engine.bot)
    engine.telegram.configure(unauthorized_tokens=[token])
    await engine.contacts(range(1, 301))
    execution_id = await engine.planned()
    async with engine.working():
        await engine.ended(execution_id, "failed")

        async def all_parked() -> bool:
            return await engine.database["shards"].count_documents({"state": {"$ne": "parked"}}) == 0

        await engine.eventually(all_parked)
    assert await engine.ledger_agrees(execution_id) == dict.fromkeys(STATUSES, 0)
    failed = [event.data for event in await engine.events() if isinstance(event.data, ExecutionFailed)]
    assert [(event.failure.code, event.totals.targeted, event.shards_failed) for event in failed] == [
        ("BOT_UNAUTHORIZED", 300, 6)
    ]
    shards = await engine.database["shards"].find().to_list(None)
    assert sum(shard["size"] - shard["next"] + len(shard["retry"]) for shard in shards) == 300


async def test_several_messages_go_in_order_and_a_contact_counts_once(engine: Any) -> None:
    blocked = [5, 50, 77]
    engine.telegram.configure(blocked_chats=blocked)
    await engine.contacts(range(1, 101))
    execution_id = await engine.planned(messages=3)
    async with engine.working():
        await engine.ended(execution_id)
    assert await engine.counts(execution_id) == {"successful": 97, "failed": 3, "skipped": 0, "unknown": 0}
    rows = engine.telegram.ledger(engine.bot.telegram_id)
    times: dict[int, list[int]] = {}
    for row in rows:
        times.setdefault(row["chat_id"], []).append(row["at"])
    assert {chat: len(sent) for chat, sent in times.items()} == {
        chat: 1 if chat in blocked else 3 for chat in range(1, 101)
    }
    page = await engine.wiring.pages.page(execution_id, status=None, code=None, limit=10**6, cursor=None)
    steps = Counter((row.contact_id, row.step) for row in page.rows)
    assert set(steps.values()) == {1}
    assert Counter(row.step for row in page.rows) == {0: 100, 1: 97, 2: 97}
    completed = [event.data for event in await engine.events() if isinstance(event.data, ExecutionCompleted)]
    assert [(event.totals.targeted, event.totals.successful) for event in completed] == [(100, 97)]
    tasks = [event.data for event in await engine.events() if isinstance(event.data, DeliveryRecorded)]
    assert sum(task.shard_completed for task in tasks) == 2


async def test_the_sweep_completes_what_a_crash_left_running(engine: Any) -> None:
    await engine.contacts(range(1, 11))
    execution_id = await engine.planned()
    async with engine.working():
        await engine.ended(execution_id)
    await engine.database["executions"].update_one({"_id": execution_id}, {"$set": {"status": "running"}})
    await engine.wiring.finish.sweep()
    assert (await engine.execution(execution_id)).status == "completed"


async def test_an_emptied_limiter_slows_but_loses_and_doubles_nobody(engine: Any) -> None:
    await engine.contacts(range(1, 301))
    execution_id = await engine.planned()
    async with engine.working() as worker:
        await engine.eventually(some_windows(engine, 1))
        await worker.redis.delete(
            *[key async for key in worker.redis.scan_iter(f"*{engine.bot.telegram_id}*")]
        )
        await engine.ended(execution_id)
    assert await engine.ledger_agrees(execution_id) == {
        "successful": 300, "failed": 0, "skipped": 0, "unknown": 0,
    }  # fmt: skip
    assert engine.deliveries() == Counter(range(1, 301))
