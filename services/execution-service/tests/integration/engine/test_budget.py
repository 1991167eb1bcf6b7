"""The budget: exactly as many messages as it pays for, whoever sends, dies, or changes it meanwhile."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition, CampaignResumed, CampaignUpdated, Retry
from contracts.events.execution import ExecutionFailed
from execution_service.application.count_window import Opened
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_worker import Worker
from execution_service.domain.execution import Budget
from execution_service.domain.org_settings import FrequencyCap, OrgSettings
from execution_service.domain.window import candidates

pytestmark = pytest.mark.integration


async def settle(engine: Any, *, cost: float = 0, cap: FrequencyCap | None = None) -> None:
    """The organisation's settings, once and before anybody asks."""
    settings = OrgSettings("acme", cost_per_message=cost, frequency_cap=cap, version=1)
    await engine.wiring.transactions.run(lambda tx: engine.wiring.org_settings.put(tx, settings))


async def codes(engine: Any, execution_id: str) -> dict[str, int]:
    return dict((await engine.wiring.shards.sums(execution_id)).errors)


async def count_agrees(engine: Any, campaign_id: str) -> int:
    """The campaign's count, once it is the sum of its shards' accounts."""
    messages = await engine.wiring.spending.messages(campaign_id)
    assert messages == await engine.wiring.campaign_spending.messages("acme", campaign_id)
    return int(messages)


async def run(engine: Any, execution_id: str, *, workers: int = 1, status: str = "completed") -> None:
    """Plan it and send it with so many workers."""
    await make_planner(engine.wiring).run_once("planner")
    async with AsyncExitStack() as stack:
        for number in range(workers):
            await stack.enter_async_context(engine.working(f"worker-{number}"))
        await engine.ended(execution_id, status)


async def test_workers_together_send_exactly_what_the_budget_pays_for(engine: Any) -> None:
    """Whatever Telegram answers: what it refuses for good is paid too, what it puts off is not."""
    await settle(engine, cost=0.1)
    engine.telegram.configure(blocked_share=0.1, server_error_share=0.05, dropped_share=0.03, seed=5)
    await engine.contacts(range(1, 151))
    await engine.contacts(range(151, 161), opted_out=True)
    started = engine.started(budget=6.05)
    execution_id = await engine.accept(started)
    await run(engine, execution_id, workers=2)
    counts = await engine.ledger_agrees(execution_id)
    assert counts["successful"] + counts["failed"] + counts["unknown"] == 60
    assert (await codes(engine, execution_id))["BUDGET_EXHAUSTED"] == 90
    assert (await codes(engine, execution_id))["OPTED_OUT"] == 10
    assert await count_agrees(engine, started.data.campaign_id) == 60
    assert set(engine.deliveries().values()) == {1}


async def opened(engine: Any, worker: Worker, execution_id: str) -> tuple[Any, Opened]:
    """A window that a worker opens as it does, and does no more."""
    now, deadline = engine.wiring.clock.now(), asyncio.get_running_loop().time() + 15
    lease = await engine.wiring.shards.lease("dying", now=now, seconds=15, deadline=deadline)
    execution, turn = await engine.execution(execution_id), worker.run_shard.turn
    budget = Budget(execution.budget, execution.sequence)
    limits = await turn.count.limits(execution, budget)
    hours = await turn.hours.hours(execution)
    chosen = candidates(lease.state, limit=10, now=now)
    prepared = await turn.prepare(execution, lease, chosen, hours=hours, now=now)
    look = await turn.count.look(lease, execution, limits, prepared)
    slots: list[Any] = [None] * len(look.prepared.letters)
    window = await turn.count.open(turn.record, lease, execution, budget, look, slots)
    assert window is not None
    return lease, window


async def test_the_messages_of_a_dead_worker_stay_paid_and_nobody_is_skipped_for_them_before_they_are(
    engine: Any,
) -> None:
    await settle(engine, cost=1)
    await engine.contacts(range(1, 121))
    started = engine.started(budget=45)
    execution_id = await engine.accept(started)
    await make_planner(engine.wiring).run_once("planner")
    async with engine.working("dies") as worker:
        worker.stopping.set()
        lease, window = await opened(engine, worker, execution_id)
    assert len(window.prepared.letters) == 10
    async with engine.working("lives"):

        async def most_sent() -> bool:
            return len(engine.sends()) >= 35

        await engine.eventually(most_sent)
        assert "BUDGET_EXHAUSTED" not in await codes(engine, execution_id)
        past = engine.wiring.clock.now()
        await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": past}})
        await engine.ended(execution_id)
    counts = await engine.ledger_agrees(execution_id)
    assert counts == {"successful": 35, "failed": 0, "skipped": 75, "unknown": 10}
    assert await count_agrees(engine, started.data.campaign_id) == 45


async def test_a_budget_set_and_changed_while_it_runs_counts_what_was_sent_before(engine: Any) -> None:
    await settle(engine, cost=1)
    slow = await engine.new_bot(per_second=100)
    await engine.contacts(range(1, 301))
    started = engine.started(bot_id=slow.bot_id)
    execution_id = await engine.accept(started)
    await make_planner(engine.wiring).run_once("planner")

    async def budget(value: float) -> None:
        fields = {"changed": ["budget"], "audience": AudienceDefinition(), "budget": value}
        await engine.steer(CampaignUpdated, started, **fields)

    async with engine.working():

        async def some(count: int = 20) -> bool:
            return len(engine.sends(slow)) >= count

        await engine.eventually(some)
        await budget(100)
        await engine.eventually(lambda: some(60))
        await budget(120)
        await engine.ended(execution_id)
    assert len(engine.sends(slow)) == 120
    assert await codes(engine, execution_id) == {"BUDGET_EXHAUSTED": 180}
    assert await count_agrees(engine, started.data.campaign_id) == 120


async def test_when_it_pays_for_nothing_the_execution_fails_and_a_larger_one_lets_it_go_on_and_be_retried(
    engine: Any,
) -> None:
    await settle(engine, cost=2)
    await engine.contacts(range(1, 61))
    started = engine.started(budget=1.99)
    execution_id = await engine.accept(started)
    await run(engine, execution_id, status="failed")
    assert (await engine.execution(execution_id)).failure[0] == "BUDGET_EXHAUSTED"
    assert [event.data.failure.code for event in await engine.events()
            if isinstance(event.data, ExecutionFailed)] == ["BUDGET_EXHAUSTED"]  # fmt: skip
    assert engine.sends() == []

    def more(budget: float) -> Any:
        return started.data.snapshot.model_copy(update={"budget": budget})

    await engine.steer(CampaignResumed, started, snapshot=more(80))
    await run(engine, execution_id)
    assert len(engine.sends()) == 40
    assert await codes(engine, execution_id) == {"BUDGET_EXHAUSTED": 20}

    retry = Retry(of=execution_id, statuses=["skipped"], error_codes=None)
    again = engine.started(campaign_id=started.data.campaign_id, budget=80, retry=retry)
    second = await engine.accept(again)
    await run(engine, second, status="failed")
    assert len(engine.sends()) == 40
    mended = again.data.snapshot.model_copy(update={"budget": 110})
    await engine.steer(CampaignResumed, again, snapshot=mended)
    await run(engine, second)
    assert engine.deliveries() == Counter(dict.fromkeys(engine.deliveries(), 1))
    assert len(engine.sends()) == 55
    assert await count_agrees(engine, started.data.campaign_id) == 55


async def test_a_retry_of_what_was_paid_is_not_paid_again(engine: Any) -> None:
    await settle(engine, cost=1)
    engine.telegram.configure(blocked_chats=[3, 4, 5])
    bot = await engine.new_bot(per_chat_per_second=1_000)
    await engine.contacts(range(1, 11))
    started = engine.started(budget=10, bot_id=bot.bot_id)
    execution_id = await engine.accept(started)
    await run(engine, execution_id)
    engine.telegram.configure()
    retry = Retry(of=execution_id, statuses=["failed"], error_codes=None)
    again = engine.started(campaign_id=started.data.campaign_id, budget=10, retry=retry, bot_id=bot.bot_id)
    second = await engine.accept(again)
    await run(engine, second)
    assert await engine.counts(second) == {"successful": 3, "failed": 0, "skipped": 0, "unknown": 0}
    assert await count_agrees(engine, started.data.campaign_id) == 10
