"""Retries: a new execution for those of earlier ones that did not get it, and for nobody else."""

import asyncio
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from contracts.events.campaign import CampaignResumed, Retry
from contracts.events.delivery import DeliveryRecorded
from execution_service.adapters.ledger_packing import unpack_contacts
from execution_service.application.plan_execution import PlanExecution
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_worker import Worker
from execution_service.domain.window import candidates
from service_kit.testing.fakes import Died, DyingTransactions

pytestmark = pytest.mark.integration


def dying_planner(engine: Any, *, lives: int, after: bool) -> PlanExecution:
    made = make_planner(engine.wiring)
    made._transactions = made._plan_retry._transactions = DyingTransactions(
        engine.wiring.transactions, lives=lives, after=after
    )
    return made


async def first_run(engine: Any, **options: Any) -> tuple[str, str]:
    """A campaign's id and its first execution's, completed."""
    event = engine.started(**options)
    execution_id = await engine.accept(event)
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    return event.data.campaign_id, execution_id


async def accept_retry(
    engine: Any, campaign_id: str, of: str, *, codes: list[str] | None = None, messages: int = 1,
    statuses: tuple[str, ...] = ("failed",),
) -> str:  # fmt: skip
    retry = Retry(of=of, statuses=list(statuses), error_codes=codes)
    return str(await engine.accept(engine.started(campaign_id=campaign_id, messages=messages, retry=retry)))


async def retried(engine: Any, *args: Any, **kwargs: Any) -> str:
    """A retry, run to its end; its id."""
    execution_id = await accept_retry(engine, *args, **kwargs)
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    return execution_id


async def standing(engine: Any, *execution_ids: str) -> dict[tuple[str, int], Any]:
    """What holds of each contact and step, by the rows of the ledger: the latest run's row counts."""
    rows: dict[tuple[str, int], Any] = {}
    for execution_id in execution_ids:
        page = await engine.wiring.pages.page(execution_id, status=None, code=None, limit=10**6, cursor=None)
        rows.update({(row.contact_id, row.step): row for row in page.rows})
    return rows


async def told(engine: Any) -> Counter[tuple[Any, ...]]:
    """The sum of all that was told of deliveries."""
    tally: Counter[tuple[Any, ...]] = Counter()
    for event in await engine.events():
        if isinstance(event.data, DeliveryRecorded):
            for row in event.data.tally:
                assert row.count != 0
                tally[row.minute, row.message_id, row.variation_id, row.status, row.error_code] += row.count
    assert min(tally.values()) >= 0
    return Counter({row: count for row, count in tally.items() if count})


async def statistics_equal_the_ledger(engine: Any, *execution_ids: str) -> None:
    rows = (await standing(engine, *execution_ids)).values()
    assert await told(engine) == Counter(
        (int(row.at.timestamp() // 60), row.message, row.variation_id, row.status, row.error_code)
        for row in rows
    )


def configure(engine: Any, **faults: Any) -> None:
    """The faults given, and no others."""
    engine.telegram.configure(**faults)


async def test_a_retry_goes_to_those_who_failed_for_that_reason_and_to_nobody_else(engine: Any) -> None:
    blocked, missing = list(range(3, 253, 5)), [7, 107, 207]
    configure(engine, blocked_chats=blocked, not_found_chats=missing)
    await engine.contacts(range(1, 261))
    campaign_id, first = await first_run(engine)
    before = engine.deliveries()
    assert len(before) == 260 - len(blocked) - len(missing)

    configure(engine)
    second = await retried(engine, campaign_id, first, codes=["USER_BLOCKED"])
    assert engine.deliveries() - before == Counter(blocked)
    execution = await engine.execution(second)
    assert (execution.plan.targeted, execution.retry.of) == (len(blocked), first)
    assert await engine.counts(second) == {"successful": 50, "failed": 0, "skipped": 0, "unknown": 0}
    await statistics_equal_the_ledger(engine, first, second)
    assert set(engine.deliveries().values()) == {1}


async def test_a_retry_of_a_retry_looks_at_what_holds_of_everybody(engine: Any) -> None:
    blocked, missing = list(range(1, 131, 2)), list(range(2, 132, 4))
    configure(engine, blocked_chats=blocked, not_found_chats=missing)
    await engine.contacts(range(1, 201))
    campaign_id, first = await first_run(engine)

    still = blocked[::3]  # these fail again, for another reason
    configure(engine, not_found_chats=still)
    second = await retried(engine, campaign_id, first, codes=["USER_BLOCKED"])
    await statistics_equal_the_ledger(engine, first, second)

    # Nobody is blocked any more, whatever the first run says.
    third = await retried(engine, campaign_id, second, codes=["USER_BLOCKED"])
    assert (await engine.execution(third)).plan.targeted == 0

    before = engine.deliveries()
    configure(engine)
    fourth = await retried(engine, campaign_id, third)
    assert engine.deliveries() - before == Counter(still + missing)
    await statistics_equal_the_ledger(engine, first, second, third, fourth)
    assert engine.deliveries() == Counter(range(1, 201))
    assert {row.status for row in (await standing(engine, first, second, third, fourth)).values()} == {
        "successful"
    }


async def test_a_contact_goes_on_at_the_message_that_failed(engine: Any) -> None:
    await engine.contacts([*range(1, 50), *range(52, 121)], last_name="L")
    await engine.contacts([50, 51])
    configure(engine, blocked_chats=[5, 6])
    event = engine.started(messages=3)
    messages = event.data.snapshot.messages
    messages[1] = messages[1].model_copy(update={"content": "1: {{lastName}}"})
    first = await engine.accept(event)
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(first)
    rows = await standing(engine, first)
    assert Counter(step for _, step in rows) == {0: 120, 1: 118, 2: 116}

    configure(engine)
    people = await engine.wiring.contacts.by_ids("acme", ["con_000050", "con_000051"])
    named = [replace(person, last_name="L") for person in people.values()]
    await engine.wiring.transactions.run(lambda tx: engine.wiring.contacts.replace(tx, named))
    before = engine.deliveries()
    second = await retried(engine, event.data.campaign_id, first, messages=3, statuses=("failed", "skipped"))
    assert engine.deliveries() - before == Counter({5: 3, 6: 3, 50: 2, 51: 2})
    texts = Counter((row["chat_id"], row["text_sha256"]) for row in engine.sends() if row["message_id"])
    assert set(texts.values()) == {1} and len(texts) == 360
    assert await engine.counts(second) == {"successful": 4, "failed": 0, "skipped": 0, "unknown": 0}
    await statistics_equal_the_ledger(engine, first, second)


async def test_unknown_and_skipped_ones_are_retried_only_when_named(engine: Any) -> None:
    await engine.contacts(range(1, 31))
    await engine.contacts(range(31, 36), opted_out=True)
    configure(engine, dropped_share=1.0)
    campaign_id, first = await first_run(engine)
    assert await engine.counts(first) == {"successful": 0, "failed": 0, "skipped": 5, "unknown": 30}

    configure(engine)
    second = await retried(engine, campaign_id, first)
    assert (await engine.execution(second)).plan.targeted == 0
    third = await retried(engine, campaign_id, second, statuses=("skipped", "unknown"))
    # Whoever has opted out is skipped again.
    assert await engine.counts(third) == {"successful": 30, "failed": 0, "skipped": 5, "unknown": 0}
    await statistics_equal_the_ledger(engine, first, second, third)


async def test_planners_that_die_anywhere_lose_nobody_and_retry_nobody_twice(engine: Any) -> None:
    blocked = list(range(1, 241, 2))
    configure(engine, blocked_chats=blocked)
    await engine.contacts(range(1, 241))
    campaign_id, of = await first_run(engine)
    for after in (False, True):
        for lives in range(4):  # three shards, then the end of the plan
            execution_id = await accept_retry(engine, campaign_id, of)
            with pytest.raises(Died):
                await dying_planner(engine, lives=lives, after=after).run_once("planner")
            await make_planner(engine.wiring).run_once("planner")
            rows = await engine.database["shard_contacts"].find({"executionId": execution_id}).to_list(None)
            planned = [contact for row in rows for contact in unpack_contacts(row["contacts"])]
            assert sorted(planned) == [f"con_{number:06d}" for number in blocked]
            plan = (await engine.execution(execution_id)).plan
            assert (plan.shards, plan.targeted, plan.done) == (3, 120, True)


async def test_what_a_dead_worker_had_in_hand_takes_the_former_outcomes_place(engine: Any) -> None:
    configure(engine, blocked_chats=list(range(1, 11)))
    await engine.contacts(range(1, 21))
    campaign_id, first = await first_run(engine)
    second = await accept_retry(engine, campaign_id, first)
    await make_planner(engine.wiring).run_once("planner")
    # A worker stores the intent for all of the shard, and is gone.
    shards = await engine.database["shards"].find({"executionId": second}).to_list(None)
    assert [row["size"] for row in shards] == [10]
    dead = Worker(engine.wiring, owner="dead")
    now, loop = engine.wiring.clock.now(), asyncio.get_running_loop()
    lease = await engine.wiring.shards.lease("dead", now=now, seconds=0.01, deadline=loop.time() + 5)
    execution = await engine.execution(second)
    turn = candidates(lease.state, limit=10, now=now)
    hours = await engine.wiring.hours.hours(execution)
    prepared = await dead.run_shard.turn.prepare(execution, lease, turn, hours=hours, now=now)
    await dead.run_shard.turn.record.open(lease, execution, prepared)
    await engine.database["shards"].update_one({"_id": lease.shard_id}, {"$set": {"dueAt": now}})
    await dead.close()

    async with engine.working():
        await engine.ended(second)
    assert await engine.counts(second) == {"successful": 0, "failed": 0, "skipped": 0, "unknown": 10}
    await statistics_equal_the_ledger(engine, first, second)


async def test_a_retry_that_was_mended_goes_on_with_the_new_texts_and_takes_back_the_old(engine: Any) -> None:
    blocked = list(range(1, 61))
    configure(engine, blocked_chats=blocked)
    await engine.contacts(range(1, 101))
    campaign_id, first = await first_run(engine)
    retry = Retry(of=first, statuses=["failed"])
    event = engine.started(campaign_id=campaign_id, retry=retry)
    second = await engine.accept(event)
    configure(engine, unauthorized_tokens=[engine.wiring.bots.token(engine.bot)])
    async with engine.working():
        await make_planner(engine.wiring).run_once("planner")
        await engine.ended(second, "failed")
    configure(engine)
    mended = engine.started(campaign_id=campaign_id, retry=retry).data.snapshot
    new = [mended.messages[0].model_copy(update={"id": "mended", "content": "New"})]
    await engine.steer(CampaignResumed, event, snapshot=mended.model_copy(update={"messages": new}))
    async with engine.working():
        await engine.ended(second)
    assert set(engine.deliveries().values()) == {1} and len(engine.deliveries()) == 100
    await statistics_equal_the_ledger(engine, first, second)


async def test_a_retry_sends_what_the_run_before_sent_whatever_the_event_says(engine: Any) -> None:
    configure(engine, blocked_chats=[1])
    await engine.contacts([1, 2])
    campaign_id, first = await first_run(engine)
    event = engine.started(campaign_id=campaign_id, retry=Retry(of=first, statuses=["failed"]))
    messages = event.data.snapshot.messages
    messages[0] = messages[0].model_copy(update={"content": "the template was changed"})
    second = await engine.accept(event)
    former = (await engine.execution(first)).snapshot.messages
    assert (await engine.execution(second)).snapshot.messages == former


async def test_counting_says_whom_a_retry_would_find(engine: Any) -> None:
    blocked, missing = list(range(1, 31)), list(range(31, 41))
    configure(engine, blocked_chats=blocked, not_found_chats=missing)
    await engine.contacts(range(1, 61))
    await engine.contacts(range(61, 64), opted_out=True)
    campaign_id, first = await first_run(engine)
    configure(engine, not_found_chats=blocked[:4])
    second = await retried(engine, campaign_id, first, codes=["USER_BLOCKED"])

    async def count(*statuses: Any, codes: list[str] | None = None) -> int:
        retry = Retry(of=second, statuses=list(statuses), error_codes=codes)
        return int(await engine.wiring.retried.count(retry))

    assert await count("failed") == 14
    assert await count("failed", codes=["CHAT_NOT_FOUND"]) == 14
    assert await count("failed", codes=["USER_BLOCKED"]) == 0
    assert await count("failed", "skipped", "unknown") == 17
    assert await count("failed", codes=["OPTED_OUT"]) == 0
    assert await engine.wiring.retried.count(Retry(of="exec_none", statuses=["failed"])) == 0
