"""Planning: each contact exactly once, wherever the planner dies."""

from typing import Any

import pytest
from contracts.events.execution import ExecutionPlanned
from execution_service.adapters.ledger_packing import unpack_contacts
from execution_service.application.plan_execution import PlanExecution
from execution_service.bootstrap_engine import make_planner
from execution_service.domain.audience import read_rule
from service_kit.errors import AlreadyHandled
from service_kit.ports import Transactions
from service_kit.testing.fakes import Died, DyingTransactions

pytestmark = pytest.mark.integration


def planner(engine: Any, transactions: Transactions, made: PlanExecution | None = None) -> PlanExecution:
    made = made or make_planner(engine.wiring)
    made._transactions = transactions
    return made


async def planned_contacts(engine: Any, execution_id: str) -> list[str]:
    rows = await engine.database["shard_contacts"].find({"executionId": execution_id}).to_list(None)
    return [contact for row in rows for contact in unpack_contacts(row["contacts"])]


async def test_a_planner_that_dies_at_any_commit_loses_and_repeats_nobody(engine: Any) -> None:
    await engine.contacts(range(1, 140), segments=["a"])
    await engine.contacts(range(140, 200), segments=["a", "b"])
    await engine.contacts(range(200, 260), segments=["b"])
    everybody = sorted(f"con_{number:06d}" for number in range(1, 260))
    for lives in range(7):  # six shards, then the end of the plan
        for after in (False, True):
            execution_id = await engine.accept(engine.started(segments=["a", "b"]))
            dying = planner(engine, DyingTransactions(engine.wiring.transactions, lives=lives, after=after))
            with pytest.raises(Died):
                await dying.run_once("planner")
            await make_planner(engine.wiring).run_once("planner")
            assert sorted(await planned_contacts(engine, execution_id)) == everybody
            execution = await engine.execution(execution_id)
            assert (execution.status, execution.plan.targeted, execution.plan.shards) == ("running", 259, 6)
            planned = [
                event.data
                for event in await engine.events()
                if isinstance(event.data, ExecutionPlanned) and event.data.execution_id == execution_id
            ]
            assert [(event.targeted, event.shards) for event in planned] == [(259, 6)]


async def test_a_planner_that_lost_its_lease_adds_nothing(engine: Any) -> None:
    await engine.contacts(range(1, 200))
    execution_id = await engine.accept(engine.started())
    overtaking = make_planner(engine.wiring)  # the same owner may take it over at once
    slow = engine.interrupted("con_000070", lambda: overtaking.run_once("planner"))
    assert await slow.run_once("planner")
    assert (await engine.execution(execution_id)).plan.done
    assert sorted(await planned_contacts(engine, execution_id)) == [f"con_{n:06d}" for n in range(1, 200)]


async def test_who_is_erased_and_comes_back_during_the_walk_is_planned_once(engine: Any) -> None:
    await engine.contacts(range(1, 131))
    execution_id = await engine.accept(engine.started())

    async def come_back() -> None:
        await engine.database["contacts"].delete_one({"_id": "acme/con_000001"})
        await engine.contacts([1, 131])

    with pytest.raises(Died):
        dying = DyingTransactions(engine.wiring.transactions, lives=2, after=False)
        await planner(engine, dying, engine.interrupted("con_000101", come_back)).run_once("planner")
    await make_planner(engine.wiring).run_once("planner")
    assert sorted(await planned_contacts(engine, execution_id)) == [f"con_{n:06d}" for n in range(1, 131)]


async def test_test_mode_takes_testers_only_and_a_sample_grows_with_its_percentage(engine: Any) -> None:
    await engine.contacts(range(1, 301))
    await engine.contacts(range(301, 306), tester=True)
    testers = await engine.planned(test_mode=True)
    assert sorted(await planned_contacts(engine, testers)) == [f"con_{n:06d}" for n in range(301, 306)]
    some = await engine.planned(target_percentage=20)
    assert 25 < len(await planned_contacts(engine, some)) < 100


async def test_filters_and_exclusions_plan_exactly_those_whom_the_counts_foretell(engine: Any) -> None:
    await engine.contacts(range(1, 101), segments=["a"], age=30)
    await engine.contacts(range(101, 201), segments=["a", "vip"], age=30)
    await engine.contacts(range(201, 301), segments=["a"], age=60)
    await engine.contacts(range(301, 401), segments=["b"], attributes={"tier": "gold"}, age=30)
    await engine.contacts(range(401, 411), segments=[], age=30)
    for segments, audience, expected in (
        (["a"], {"exclude_segments": ["vip"]}, [*range(1, 101), *range(201, 301)]),
        (["a", "b"], {"filters": {"ageRange": [18, 45]}}, [*range(1, 201), *range(301, 401)]),
        (["a", "b"], {"filters": {"tier": "gold"}}, range(301, 401)),
        ([], {"filters": {"ageRange": [18, 45]}, "exclude_segments": ["a"]}, range(301, 411)),
    ):
        execution_id = await engine.planned(segments=segments, audience=audience)
        people = {int(name.removeprefix("con_")) for name in await planned_contacts(engine, execution_id)}
        assert people == set(expected)
        rule = read_rule(segments, audience.get("filters"), audience.get("exclude_segments", []))
        assert (await engine.execution(execution_id)).plan.targeted == len(people)
        assert (await engine.wiring.measure.current("acme", rule)).total == len(people)


async def test_filters_that_cannot_be_understood_fail_the_execution(engine: Any) -> None:
    await engine.contacts(range(1, 11))
    execution_id = await engine.planned(audience={"filters": {"location": "everywhere"}})
    execution = await engine.execution(execution_id)
    assert (execution.status, execution.failure[0]) == ("failed", "AUDIENCE_INVALID")
    assert await planned_contacts(engine, execution_id) == []


async def test_an_audience_of_nobody_completes_at_once(engine: Any) -> None:
    execution_id = await engine.planned(segments=["nobody"])
    assert (await engine.execution(execution_id)).status == "completed"
    assert [event.type for event in await engine.events()] == ["execution.planned", "execution.completed"]


async def test_without_a_bot_the_execution_fails(engine: Any) -> None:
    await engine.database["bots"].delete_many({})
    execution_id = await engine.planned()
    execution = await engine.execution(execution_id)
    assert execution.status == "failed"
    assert execution.failure is not None
    assert execution.failure[0] == "BOT_MISSING"
    assert [event.type for event in await engine.events()] == ["execution.failed"]


async def test_the_same_event_twice_makes_one_execution(engine: Any) -> None:
    event = engine.started()
    await engine.accept(event)
    with pytest.raises(AlreadyHandled):
        await engine.accept(event)
    assert await engine.database["executions"].count_documents({}) == 1
