"""Budget and frequency cap over windows of several workers, in any order of looks, intents, answers and deaths.

At every step what is counted is what may have been sent, and no more than is allowed; in the end it is exactly
that, if there were enough people.
"""

import asyncio
import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.application.campaign_spending import CampaignSpending
from execution_service.application.count_window import CountWindow, Look, NothingPaid, Opened
from execution_service.application.counts import Counts
from execution_service.application.ports_counting import CountMoved, ShardAccount
from execution_service.application.ports_engine import ShardLease, Window
from execution_service.application.ports_sending import Rendered, Slot
from execution_service.application.prepare_window import Letter, Prepared
from execution_service.application.record_window import RecordWindow
from execution_service.domain.execution import Budget, Execution
from execution_service.domain.org_settings import FrequencyCap, OrgSettings
from execution_service.domain.outcomes import (
    Attempt,
    Back,
    Delivered,
    Final,
    NoAnswer,
    NotDispatched,
    Rejected,
    ServerFailed,
    passed_over,
    settle,
)
from execution_service.domain.recent_sends import Block
from execution_service.domain.window import ShardState, candidates, next_due
from hypothesis import given, settings
from hypothesis import strategies as st
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock, InMemoryOutbox, InMemoryTransactions, staged

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SHARD = 5
ANSWERS: list[Attempt] = [
    Delivered(1), Rejected("USER_BLOCKED"), Rejected("MESSAGE_TOO_LONG"), NoAnswer(), NotDispatched(),
    ServerFailed(),
]  # fmt: skip


@dataclass
class World:
    """The ports, in memory: shards, their windows, the campaign's count, and recent sends."""

    states: dict[str, ShardState] = field(default_factory=dict)
    open_windows: dict[str, Window] = field(default_factory=dict)
    recorded: list[Final] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    blocks: dict[int, Block] = field(default_factory=dict)
    settings: OrgSettings = field(default_factory=lambda: OrgSettings("acme", cost_per_message=1))
    executions: list[Execution] = field(default_factory=list)
    leased: set[str] = field(default_factory=set)

    async def of(self, org: str, execution_id: str) -> OrgSettings:
        return self.settings

    async def runs(self, org: str, campaign_id: str, *, before: str | None, limit: int) -> list[Execution]:
        return [one for one in self.executions if one.campaign_id == campaign_id]

    # shards and ledger

    async def advance(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> bool:
        staged(tx, lambda: self.states.update({lease.shard_id: state}))
        return True

    async def save(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> None:
        staged(tx, lambda: self.states.update({lease.shard_id: state}))

    async def open(self, tx: Tx, window: Window) -> None:
        staged(tx, lambda: self.open_windows.update({window.shard_id: window}))

    async def record(
        self, tx: Tx, window: Window, finals: Sequence[Final], *, epoch: int, at: datetime
    ) -> bool:
        def effect() -> None:
            del self.open_windows[window.shard_id]
            self.recorded.extend(finals)

        staged(tx, effect)
        return True

    # spending

    async def begin(self, org: str, campaign_id: str) -> None:
        self.counts[campaign_id] += 0

    async def messages(self, campaign_id: str, *, tx: Tx | None = None) -> int:
        return self.counts[campaign_id]

    async def add(self, tx: Tx, campaign_id: str, messages: int, *, most: int | None = None) -> bool:
        if most is not None and self.counts[campaign_id] + messages > most:
            return False
        staged(tx, lambda: self.counts.update({campaign_id: messages}))
        return True

    async def accounts(self, execution_id: str, *, tx: Tx | None = None) -> Sequence[ShardAccount]:
        return [
            ShardAccount(name, state.account, name in self.leased, sent=state.account.spent > 0)
            for name, state in self.states.items()
            if name.startswith(f"{execution_id}:")
        ]

    async def tell(self, tx: Tx, shard: ShardAccount) -> bool:
        state = self.states[shard.shard_id]
        if shard.shard_id in self.leased:
            return False
        staged(tx, lambda: self.states.update({shard.shard_id: replace(state, account=state.account.tell())}))
        return True

    # recent sends

    async def read(self, org: str, numbers: Iterable[int], *, tx: Tx | None = None) -> Mapping[int, Block]:
        return {number: self.blocks.get(number, Block(number)) for number in numbers}

    async def write(self, tx: Tx, org: str, blocks: Collection[Block], *, until: datetime) -> None:
        for block in blocks:
            if self.blocks.get(block.number, Block(block.number)).revision != block.revision:
                raise CountMoved
            new = replace(block, revision=block.revision + 1)
            staged(tx, lambda new=new: self.blocks.update({new.number: new}))  # type: ignore[misc]


class Deaf:
    """An observer."""

    def recorded(self, finals: Sequence[Final], *, back: int) -> None: ...


class Workers:
    """Some workers on a world; what they hold is theirs until they close it or die."""

    def __init__(self, world: World, count: int) -> None:
        self.world, self.clock = world, FixedClock(NOW)
        ports: Any = world
        counts = Counts(spending=ports, sends=ports)
        self.record = RecordWindow(
            shards=ports, ledger=ports, transactions=InMemoryTransactions(), outbox=InMemoryOutbox(),
            clock=self.clock, observer=Deaf(), counts=counts, lease_seconds=15,  # type: ignore[arg-type]
        )  # fmt: skip
        campaigns = CampaignSpending(executions=ports, spending=ports, transactions=InMemoryTransactions())
        self.counting = [
            CountWindow(
                settings=ports, spending=ports, campaigns=campaigns, sends=ports,
                transactions=InMemoryTransactions(), clock=self.clock, reach_seconds=15,
            )
            for _ in range(count)
        ]  # fmt: skip
        self.looked: dict[int, tuple[ShardLease, Execution, Look]] = {}
        self.opened: dict[int, tuple[ShardLease, Execution, Opened]] = {}

    def free(self, execution: Execution) -> list[str]:
        """The execution's shards that nobody has in hand."""
        return [
            name for name, state in self.world.states.items()
            if name.startswith(f"{execution.execution_id}:") and name not in self.world.leased and not state.done
        ]  # fmt: skip

    async def look(self, worker: int, execution: Execution, shard: str, *, size: int, gone: bool) -> None:
        """Take a free shard and look; `gone`: the first contact has opted out."""
        self.world.leased.add(shard)
        await self._look(worker, execution, shard, size=size, gone=gone)
        if worker not in self.looked:
            self.world.leased.remove(shard)

    async def _look(self, worker: int, execution: Execution, shard: str, *, size: int, gone: bool) -> None:
        number = int(shard.partition(":")[2])
        people = [str(number * SHARD + place) for place in range(SHARD)]
        lease = ShardLease(
            shard, execution.execution_id, "acme", execution.campaign_id, number, "w", 1, people,
            self.world.states[shard], 10**9,
        )  # fmt: skip
        if shard in self.world.open_windows:
            await self.record.abandon(lease, execution, self.world.open_windows[shard])
            return
        turn = candidates(lease.state, limit=size, now=self.clock.now())
        if not turn:
            due = next_due(lease.state)
            assert due is not None
            self.clock.advance((due - self.clock.now()).total_seconds())
            return
        letters: list[Letter | Final | Back] = [
            Letter(
                item,
                people[item.position],
                1,
                None,
                Rendered("x", "none"),
                ordinal=number * SHARD + item.position,
            )
            for item in turn
        ]
        if gone:
            letters[0] = passed_over(turn[0], "OPTED_OUT", at=NOW)
        counting = self.counting[worker]
        limits = await counting.limits(execution, Budget(execution.budget, execution.sequence))
        look = await counting.look(lease, execution, limits, Prepared(letters, turn))
        if not look.prepared.waits:
            self.looked[worker] = lease, execution, look

    async def open(self, worker: int) -> None:
        lease, execution, look = self.looked.pop(worker)
        slots = [Slot(0, 0, 0) for _ in look.prepared.letters]
        opened = await self.counting[worker].open(
            self.record, lease, execution, Budget(execution.budget, execution.sequence), look, slots
        )
        if opened is None:
            self.world.leased.remove(lease.shard_id)
            return
        assert len(opened.slots) == len(opened.prepared.letters)
        self.opened[worker] = lease, execution, opened

    async def close(self, worker: int, answers: Sequence[Attempt]) -> None:
        lease, execution, opened = self.opened.pop(worker)
        results = [
            settle(letter.candidate, answers[place % len(answers)], at=self.clock.now(), variation_id=None,
                   retry_unknown=execution.snapshot.retry_unknown)
            for place, letter in enumerate(opened.prepared.letters)
        ]  # fmt: skip
        await self.record.close(lease, execution, opened.window, results, opened.count)
        self.world.leased.remove(lease.shard_id)

    def die(self, worker: int) -> None:
        """The window stays open, and the lease runs out."""
        self.world.leased.remove(self.opened.pop(worker)[0].shard_id)


def execution(name: str, *, budget: float | None, again: bool) -> Execution:
    snapshot = ExecutionSnapshot(
        messages=[FrozenMessage(id="msg", content="x")], audience=AudienceDefinition(),
        options=ExecutionOptions(), sampling_seed="s", retry_unknown=again,
    )  # fmt: skip
    return Execution(f"exec_{name}", "acme", f"camp_{name}", "running", snapshot, NOW, budget=budget)


def begin(world: World, run: Execution, shards: int) -> None:
    world.executions.append(run)
    for number in range(shards):
        world.states[f"{run.execution_id}:{number}"] = ShardState(size=SHARD)


def check_budget(world: World, run: Execution, allowed: int) -> None:
    """What is counted is what is known to be spent, and what may be, and no more than may be spent."""
    accounts = [state.account for state in world.states.values()]
    assert sum(account.total for account in accounts) == world.counts[run.campaign_id] <= allowed
    under_way = {
        (name, candidate.position)
        for name, window in world.open_windows.items()
        for candidate in window.candidates
    }
    maybe = {
        (name, waiting.candidate.position)
        for name, state in world.states.items()
        for waiting in state.retry
        if waiting.candidate.unanswered
    }
    # One that got no answer before and is passed over now is unknown once its window is closed.
    maybe |= {
        (name, final.position)
        for name, window in world.open_windows.items()
        for final in window.decided
        if isinstance(final, Final) and final.status == "unknown"
    }
    refused = ("USER_BLOCKED", "TELEGRAM_ERROR")
    paid = sum(final.status in ("successful", "unknown") or final.code in refused for final in world.recorded)
    assert world.counts[run.campaign_id] == paid + len(under_way | maybe)


OPS = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(0, 9), st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=3)
    ),
    max_size=40,
)


async def act(workers: Workers, run: Execution, op: tuple[int, int, list[Attempt]]) -> None:
    """What the worker does next: look, open, close or die."""
    worker, choice, answers = op
    if worker in workers.opened:
        if choice == 9:
            workers.die(worker)
        else:
            await workers.close(worker, answers)
    elif worker in workers.looked:
        await workers.open(worker)
    elif free := workers.free(run):
        shard = free[choice % len(free)]
        await workers.look(worker, run, shard, size=1 + choice % 4, gone=choice == 7)


async def to_the_end(workers: Workers, *runs: Execution) -> None:
    """Everybody goes on, and everything is delivered.

    Shards come in turn, as leases do: one may wait for what another has open.
    """
    turns = itertools.cycle(range(6))
    for worker in list(workers.looked):
        await workers.open(worker)
    for worker in list(workers.opened):
        await workers.close(worker, [Delivered(1)])
    for run in runs:
        while free := workers.free(run):
            await act(workers, run, (0, next(turns), [Delivered(1)]))
            if 0 in workers.looked:
                await workers.open(0)
            if 0 in workers.opened:
                await workers.close(0, [Delivered(1)])
            assert free


@settings(deadline=None)
@given(OPS, st.integers(0, 20), st.integers(1, 3), st.booleans())
def test_a_budget_is_never_passed_and_always_used_up(
    ops: list[tuple[int, int, list[Attempt]]], allowed: int, shards: int, again: bool
) -> None:
    async def story() -> None:
        world = World()
        workers, run = Workers(world, 3), execution("1", budget=allowed + 0.5, again=again)
        begin(world, run, shards)
        try:
            for op in ops:
                await act(workers, run, op)
                check_budget(world, run, allowed)
            await to_the_end(workers, run)
        except NothingPaid:
            assert (allowed, world.counts[run.campaign_id]) == (0, 0)
            return
        check_budget(world, run, allowed)
        unpaid = sum(final.code == "BUDGET_EXHAUSTED" for final in world.recorded)
        assert len(world.recorded) == shards * SHARD
        if unpaid:
            assert world.counts[run.campaign_id] == allowed

    asyncio.run(story())


@settings(deadline=None)
@given(OPS, st.integers(1, 2), st.booleans())
def test_nobody_gets_more_than_the_cap_of_three_campaigns(
    ops: list[tuple[int, int, list[Attempt]]], messages: int, again: bool
) -> None:
    """Each worker sends a campaign of its own to the same people."""

    async def story() -> None:
        cap = FrequencyCap(messages, 24)
        world = World(settings=OrgSettings("acme", frequency_cap=cap))
        workers = Workers(world, 3)
        runs = [execution(str(number), budget=None, again=again) for number in range(3)]
        for run in runs:
            begin(world, run, 1)
        for op in ops:
            await act(workers, runs[op[0]], op)
            maybe = Counter(send.place for block in world.blocks.values() for send in block.sends)
            assert not maybe or max(maybe.values()) <= messages
            on_their_way = Counter(
                candidate.position
                for window in world.open_windows.values()
                for candidate in window.candidates
            )
            arrived = Counter(
                final.position for final in world.recorded if final.status in ("successful", "unknown")
            )
            assert on_their_way + arrived <= maybe
        await to_the_end(workers, *runs)
        arrived = Counter(
            final.position for final in world.recorded if final.status in ("successful", "unknown")
        )
        assert len(world.recorded) == 3 * SHARD
        assert not arrived or max(arrived.values()) <= messages

    asyncio.run(story())


@pytest.mark.parametrize("budget", [None, 3.0])
def test_with_nothing_to_count_nothing_is_asked(budget: float | None) -> None:
    """No budget, or messages that cost nothing, and no cap: the ports of counting are not there at all."""

    async def story() -> None:
        world = World(settings=OrgSettings("acme", cost_per_message=0 if budget else 5))
        workers, run = Workers(world, 1), execution("1", budget=budget, again=False)
        begin(world, run, 1)
        for name in ("begin", "messages", "add", "accounts", "read", "write"):
            setattr(world, name, None)
        await to_the_end(workers, run)
        assert Counter(final.status for final in world.recorded) == {"successful": SHARD}
        assert world.states["exec_1:0"].account.spent == SHARD

    asyncio.run(story())


def test_what_was_sent_without_a_budget_counts_when_there_is_one() -> None:
    async def story() -> None:
        world = World()
        workers, run = Workers(world, 1), execution("1", budget=None, again=False)
        begin(world, run, 2)
        await act(workers, run, (0, 2, []))
        await workers.open(0)
        await workers.close(0, [Delivered(1)])
        assert world.counts["camp_1"] == 0
        await to_the_end(workers, replace(run, budget=7))
        assert Counter(final.code for final in world.recorded) == {None: 7, "BUDGET_EXHAUSTED": 3}
        assert world.counts["camp_1"] == 7

    asyncio.run(story())


def test_what_others_sent_while_there_was_no_budget_counts_for_who_saw_nothing_of_it() -> None:
    async def story() -> None:
        world = World()
        workers, run = Workers(world, 2), execution("1", budget=100, again=False)
        begin(world, run, 3)

        async def window(worker: int, run: Execution, shard: int, size: int) -> None:
            await workers.look(worker, run, f"exec_1:{shard}", size=size, gone=False)
            await workers.open(worker)
            await workers.close(worker, [Delivered(1)])

        for _ in range(2):
            await window(0, run, 0, 1)
        await window(1, replace(run, budget=None, sequence=1), 1, SHARD)
        assert (world.states["exec_1:1"].done, world.counts["camp_1"]) == (True, 2)
        await to_the_end(workers, replace(run, budget=8, sequence=2))
        assert Counter(final.code for final in world.recorded) == {None: 8, "BUDGET_EXHAUSTED": 7}

    asyncio.run(story())


def test_the_hours_of_the_cap_begin_when_a_message_may_have_been_sent_at_the_latest() -> None:
    async def story() -> None:
        world = World(settings=OrgSettings("acme", frequency_cap=FrequencyCap(1, 24)))
        workers, first = Workers(world, 1), execution("1", budget=None, again=False)
        begin(world, first, 1)
        await to_the_end(workers, first)
        workers.clock.advance(timedelta(hours=24).total_seconds() + 14)
        early, late = execution("2", budget=None, again=False), execution("3", budget=None, again=False)
        begin(world, early, 1)
        await to_the_end(workers, early)
        workers.clock.advance(2)
        begin(world, late, 1)
        await to_the_end(workers, late)
        codes = [final.code for final in world.recorded]
        assert codes == [None] * SHARD + ["FREQUENCY_CAP"] * SHARD + [None] * SHARD

    asyncio.run(story())
