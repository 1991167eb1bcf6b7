"""Runners are shared between executions, so that each has somebody who asks for its slots."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from execution_service.application.ports_engine import ShardLease
from execution_service.application.turns import Turns
from execution_service.domain.execution import Standing
from execution_service.domain.window import ShardState
from service_kit.testing.fakes import FixedClock

NOW = datetime(2026, 6, 1, tzinfo=UTC)


class World:
    """Executions underway and their due shards, the oldest first."""

    def __init__(self, due: Sequence[str], underway: Sequence[str]) -> None:
        self.due = list(due)
        self.standing = list(underway)
        self.soon: set[str] = set()
        self.asked: list[str] = []

    async def underway(self) -> list[Standing]:
        return [Standing(name, "running", 1, None, "acme") for name in self.standing]

    async def any_due(self, execution_id: str, *, after: datetime, until: datetime) -> bool:
        self.asked.append(execution_id)
        assert until - after == timedelta(seconds=30)
        return execution_id in self.soon

    async def lease(
        self, owner: str, *, now: datetime, seconds: float, deadline: float, execution_id: str | None = None
    ) -> ShardLease | None:
        self.asked.append(execution_id or "any")
        name = next((name for name in self.due if execution_id in (None, name)), None)
        if name is None:
            return None
        self.due.remove(name)
        return ShardLease(f"{name}:0", name, "acme", "camp", 0, owner, 1, ["con"], ShardState(1), deadline)


def turns(world: World) -> Turns:
    port = cast(Any, world)
    return Turns(executions=port, shards=port, clock=FixedClock(NOW), lease_seconds=15, look_seconds=0)


async def served(it: Turns, runners: int) -> list[str]:
    leases = [await it.lease("w") for _ in range(runners)]
    return [lease.execution_id for lease in leases if lease is not None]


def test_free_runners_go_to_the_executions_with_the_fewest() -> None:
    world = World(["long"] * 20 + ["short"] * 5, ["long", "short"])
    assert asyncio.run(served(turns(world), 6)).count("short") == 3


def test_runners_beyond_what_an_execution_has_to_do_serve_the_others() -> None:
    world = World(["long"] * 20 + ["short"], ["long", "short"])
    assert sorted(asyncio.run(served(turns(world), 6))) == ["long"] * 5 + ["short"]


def test_a_shard_of_an_execution_that_is_not_underway_is_leased_too_so_that_it_gets_parked() -> None:
    assert asyncio.run(served(turns(World(["paused"], [])), 2)) == ["paused"]


def test_a_runner_gives_way_to_one_that_waits_and_one_at_a_time() -> None:
    async def run() -> list[bool]:
        world = World(["long"] * 20, ["long"])
        it = turns(world)
        leases = [lease for _ in range(4) if (lease := await it.lease("w"))]
        answers = [await it.give_way(leases[0])]
        world.standing.append("short")
        world.due.append("short")
        answers += [await it.give_way(lease) for lease in leases[:2]]
        it.left(leases[0])
        taken = await it.lease("w")
        assert taken is not None and taken.execution_id == "short"
        it.left(taken)
        return answers

    assert asyncio.run(run()) == [False, True, False]


def test_a_runner_stays_where_there_is_one_for_each() -> None:
    async def run() -> bool:
        it = turns(World(["long", "short"], ["long", "short"]))
        leases = [lease for _ in range(2) if (lease := await it.lease("w"))]
        return await it.give_way(leases[0])

    assert not asyncio.run(run())


def test_executions_whose_contacts_wait_for_hours_are_asked_for_seldom_and_get_nobodys_runner() -> None:
    """`soon` has a shard in somebody's hands, or one that waits for a second."""

    async def run() -> list[str]:
        nights = [f"night{number}" for number in range(9)]
        world = World(["long"] * 20, ["long", "soon", *nights])
        world.soon.add("soon")
        it = turns(world)
        leases = [lease for _ in range(4) if (lease := await it.lease("w"))]
        world.asked.clear()
        for lease in leases:
            if await it.give_way(lease):
                it.left(lease)
                await it.lease("w")
        return world.asked

    # Once to see that nothing is due, once whether something soon will be.
    assert [name for name in asyncio.run(run()) if name != "long"] == ["soon", "soon"]
