"""An execution: one run of a campaign, planned into shards, sent by workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from contracts.events.campaign import ExecutionSnapshot, Retry, Totals

ExecutionStatus = Literal["scheduled", "planning", "running", "paused", "completed", "failed", "cancelled"]
UNDERWAY: frozenset[str] = frozenset({"planning", "running"})
"""Workers send while the execution is in one of these; they begin while planning goes on."""
OPEN: frozenset[str] = UNDERWAY | {"scheduled", "paused"}
"""It has not ended. A failed one has, but may be mended."""

PRIORITY_WEIGHTS = {"low": 1, "normal": 2, "high": 4}


@dataclass(frozen=True, slots=True)
class BotRef:
    """The bot that sends: our id, and Telegram's number, to which the rate limits belong."""

    bot_id: str
    telegram_id: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How far the audience has been walked: everybody up to `last_key` is in the first `shards` shards."""

    last_key: str = ""
    shards: int = 0
    targeted: int = 0
    done: bool = False


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of a campaign.

    `bots` share its contacts, shard by shard; a new life may have others. `frozen` is None until it begins
    (it is scheduled, or failed before). `end_date` is the campaign's end as it is now; from then on nobody
    is sent to. `budget`: what its messages may cost, as it is now. `life` grows when a failed execution is
    mended: what was meant for an earlier life (a failure, a plan, a rendered message) is void. `sequence` is
    the campaign's version whose event it followed last. `resumed_at`: when it last went on after a pause or a
    failure. `totals`: what it came to, once it has completed.
    """

    execution_id: str
    org: str
    campaign_id: str
    status: ExecutionStatus
    frozen: ExecutionSnapshot | None
    created_at: datetime
    bots: tuple[BotRef, ...] = ()
    plan: Plan = Plan()
    failure: tuple[str, str] | None = None
    planned_at: datetime | None = None
    finished_at: datetime | None = None
    started_at: datetime | None = None
    end_date: datetime | None = None
    budget: float | None = None
    life: int = 1
    sequence: int = 0
    totals: Totals | None = None
    resumed_at: datetime | None = None

    @property
    def begun(self) -> bool:
        """Whether it has what it takes to send."""
        return self.frozen is not None

    @property
    def snapshot(self) -> ExecutionSnapshot:
        """What it sends, once it has begun."""
        if self.frozen is None:
            raise ValueError(f"{self.execution_id} has not begun")
        return self.frozen

    @property
    def test_mode(self) -> bool:
        """Whether it goes to testers only and counts in no statistics."""
        return self.frozen is not None and self.frozen.options.test_mode

    @property
    def retry(self) -> Retry | None:
        """Whom of earlier runs it goes to; None when it walks an audience."""
        return self.frozen.options.retry if self.frozen is not None else None

    @property
    def parts(self) -> int:
        """How many bots share its contacts."""
        return max(1, len(self.snapshot.named_bots))

    @property
    def weight(self) -> int:
        """Its share of the bot's rate, beside others'."""
        return PRIORITY_WEIGHTS[self.snapshot.options.priority]


@dataclass(frozen=True, slots=True)
class Budget:
    """What a campaign's messages may cost in all (None: anything), as of its version `sequence`."""

    amount: float | None
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What may change about an execution while its shards are sent; read often, so it is little."""

    execution_id: str
    status: ExecutionStatus
    life: int
    end_date: datetime | None
    org: str
    budget: Budget = Budget(None)

    @property
    def underway(self) -> bool:
        """Whether workers may send."""
        return self.status in UNDERWAY

    def ended(self, now: datetime) -> bool:
        """Whether the campaign's end has come: what remains is skipped."""
        return self.end_date is not None and self.end_date <= now


@dataclass(frozen=True, slots=True)
class ShardSums:
    """The sum over an execution's shards, in contacts; `undone` counts shards that are not done.

    `withdrawn`: the former outcomes of its contacts, by code, if it is a retry. `held`: how many wait for
    their hours, by the time at which their shard's turn comes. `pending`: how many have no outcome yet, by a
    time zone in which clocks show what theirs do (None: the organisation's).
    """

    targeted: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    undone: int = 0
    withdrawn: Mapping[str, int] = field(default_factory=dict)
    held: Mapping[datetime, int] = field(default_factory=dict)
    pending: Mapping[str | None, int] = field(default_factory=dict)

    @property
    def processed(self) -> int:
        """Contacts with an outcome."""
        return sum(self.counts.values())

    def totals(self) -> Totals:
        """For the events that end an execution."""
        return Totals(
            targeted=self.targeted,
            successful=self.counts.get("successful", 0),
            failed=self.counts.get("failed", 0),
            skipped=self.counts.get("skipped", 0),
            unknown=self.counts.get("unknown", 0),
        )
