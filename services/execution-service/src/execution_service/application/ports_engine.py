"""What planning, sending and recording need of the world.

Fenced writes: a shard or a plan is leased with an epoch that grows with every lease. A write of a former
owner matches nothing and raises `LeaseLost`; inside a transaction that undoes all of it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.events.campaign import Totals
from service_kit.ports import Tx

from execution_service.domain.execution import (
    BotRef,
    Execution,
    ExecutionStatus,
    Plan,
    ShardSums,
    Standing,
)
from execution_service.domain.holding import NO_HOURS, Held, PlannedHours
from execution_service.domain.outcomes import Candidate, Final
from execution_service.domain.retrying import Former, Retried
from execution_service.domain.window import ShardState


class LeaseLost(Exception):
    """Somebody else owns it now: drop everything, change nothing."""


# --- executions


@dataclass(frozen=True, slots=True)
class PlanLease:
    """An execution to plan, ours while `epoch` is the latest."""

    execution: Execution
    epoch: int


class Executions(Protocol):
    """The executions of all campaigns."""

    async def add(self, tx: Tx, execution: Execution) -> None:
        """Store a new execution. Raises AlreadyHandled when it is there."""
        ...

    async def get(self, execution_id: str) -> Execution | None:
        """The execution."""
        ...

    async def load(self, tx: Tx, execution_id: str) -> Execution | None:
        """The execution, to be steered in the same transaction."""
        ...

    async def of_campaign(self, tx: Tx, org: str, campaign_id: str) -> list[Execution]:
        """The campaign's executions, to be steered in the same transaction."""
        ...

    async def steer(self, tx: Tx, before: Execution, after: Execution, *, now: datetime) -> None:
        """Store what a campaign's event changes. Raises Collision when it is not as `before` any more."""
        ...

    async def standing(self, execution_id: str) -> Standing | None:
        """What may change about it while it is sent."""
        ...

    async def underway(self) -> list[Standing]:
        """The executions that workers may send."""
        ...

    async def weights(self, telegram_ids: Sequence[int]) -> Mapping[int, int]:
        """By Telegram's bot id: the sum of the weights of the executions that workers may send with it."""
        ...

    async def latest(self, org: str, campaign_id: str, *, deleted_too: bool) -> tuple[bool, Execution | None]:
        """Whether the organisation has this campaign, and its latest execution."""
        ...

    async def runs(self, org: str, campaign_id: str, *, before: str | None, limit: int) -> list[Execution]:
        """The campaign's executions, newest first, only those older than `before`."""
        ...

    async def lease_planning(self, owner: str, *, now: datetime, until: datetime) -> PlanLease | None:
        """Take one that waits to be planned, or whose planner's lease has expired."""
        ...

    async def choose_bots(self, lease: PlanLease, bots: Sequence[BotRef]) -> None:
        """Note the bots. Raises LeaseLost."""
        ...

    async def renew(self, lease: PlanLease, *, until: datetime) -> None:
        """Hold on. Raises LeaseLost."""
        ...

    async def advance(self, tx: Tx, lease: PlanLease, plan: Plan, *, until: datetime) -> None:
        """Store how far the plan is, and hold on. Raises LeaseLost."""
        ...

    async def planned(self, tx: Tx, lease: PlanLease, plan: Plan, *, at: datetime) -> None:
        """The plan is done; the execution is running. Raises LeaseLost."""
        ...

    async def close(
        self,
        tx: Tx,
        execution_id: str,
        *,
        status: ExecutionStatus,
        among: frozenset[str],
        at: datetime,
        failure: tuple[str, str] | None = None,
        life: int | None = None,
        totals: Totals | None = None,
    ) -> bool:
        """Compare-and-set the final status if it is `among` these now; whether this call did it.

        `life`: only in this life of the execution. `totals`: what it came to, when nothing can change it.
        """
        ...


# --- shards and the ledger


@dataclass(slots=True)
class ShardLease:
    """A shard in our hands. `deadline` is on the event loop's clock; `state` follows what is stored.

    A retry's shard begins at `first_step`; `former` are the outcomes, by position, that those of this step
    take the place of.
    `part` is the place of its bot in the execution's list.
    """

    shard_id: str
    execution_id: str
    org: str
    campaign_id: str
    number: int
    owner: str
    epoch: int
    contacts: Sequence[str]
    state: ShardState
    deadline: float
    first_step: int = 0
    former: Sequence[Former] = ()
    part: int = 0


@dataclass(frozen=True, slots=True)
class Window:
    """An intent: these candidates are about to be sent in `step`; `decided` need no sending."""

    shard_id: str
    execution_id: str
    number: int
    shard: int
    step: int
    message_id: str
    epoch: int
    candidates: Sequence[Candidate]
    decided: Sequence[Final]
    opened_at: datetime

    @property
    def positions(self) -> list[int]:
        """Of the candidates."""
        return [candidate.position for candidate in self.candidates]


class Shards(Protocol):
    """The shards of all executions."""

    async def add(
        self,
        tx: Tx,
        execution: Execution,
        *,
        number: int,
        part: int,
        contacts: Sequence[str],
        due: datetime,
        hours: PlannedHours = NO_HOURS,
    ) -> None:
        """A new shard for the bot at place `part`, to be leased from `due` on, or when its hours come."""
        ...

    async def add_retry(
        self,
        tx: Tx,
        execution: Execution,
        *,
        number: int,
        part: int,
        contacts: Sequence[Retried],
        due: datetime,
        hours: PlannedHours = NO_HOURS,
    ) -> None:
        """A new shard of contacts that are all to be tried again at the same step."""
        ...

    async def lease(
        self,
        owner: str,
        *,
        now: datetime,
        seconds: float,
        deadline: float,
        execution_id: str | None = None,
    ) -> ShardLease | None:
        """Take the one (of an execution) that has waited longest, or whose lease has expired."""
        ...

    async def renew(self, lease: ShardLease, *, until: datetime) -> None:
        """Hold on. Raises LeaseLost."""
        ...

    async def advance(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> bool:
        """Store the state with a window opened. False when no row has the state before it."""
        ...

    async def save(self, tx: Tx, lease: ShardLease, state: ShardState, *, until: datetime) -> None:
        """Store the state with the window closed. Raises LeaseLost."""
        ...

    async def release(self, lease: ShardLease, *, due: datetime) -> None:
        """Let others take it from `due` on. Harmless when it is not ours."""
        ...

    async def hold(self, lease: ShardLease, held: Held) -> None:
        """Let others take it when its contacts' hours come, in the lease's state. Harmless when it is not
        ours."""
        ...

    async def park(self, lease: ShardLease) -> None:
        """Its execution is not underway: nobody shall take it. Harmless when it is not ours."""
        ...

    async def unpark(self, execution_id: str, *, due: datetime) -> None:
        """Let the execution's parked shards be leased from `due` on."""
        ...

    async def hurry(self, execution_id: str, *, due: datetime) -> None:
        """Let those that wait for a later time be leased from `due` on."""
        ...

    async def rouse(self, execution_id: str, edition: int, *, due: datetime) -> None:
        """Let those be leased from `due` on that wait for hours by rules older than this edition."""
        ...

    async def any_due(self, execution_id: str, *, after: datetime, until: datetime) -> bool:
        """Whether a shard of the execution may be leased, or its lease expires, in that time."""
        ...

    async def sums(self, execution_id: str) -> ShardSums:
        """The sum over the execution's shards."""
        ...

    async def any_undone(self, execution_id: str) -> bool:
        """Whether a shard of the execution is not done."""
        ...


class Ledger(Protocol):
    """The windows: intents before sends, outcomes after."""

    async def open(self, tx: Tx, window: Window) -> None:
        """Store the intent."""
        ...

    async def is_open(self, tx: Tx, window: Window) -> bool:
        """Whether this very intent is stored already (its commit's answer was lost)."""
        ...

    async def left_open(self, lease: ShardLease) -> Window | None:
        """The window that the shard's former owner opened and never recorded."""
        ...

    async def record(
        self, tx: Tx, window: Window, finals: Sequence[Final], *, epoch: int, at: datetime
    ) -> bool:
        """Store the outcomes; False when this epoch already did. Raises LeaseLost when another one did."""
        ...

    async def answers(
        self, execution_id: str, *, since: datetime, now: datetime, enough: int
    ) -> Sequence[Final]:
        """The latest answers since then, in the order of their times; the latest `enough` of them are there.

        What it costs follows from `enough`, and where few windows hold answers from how many there are.
        """
        ...

    async def sent_since(self, execution_id: str, since: datetime) -> int:
        """How many messages the windows recorded since then have sent."""
        ...
