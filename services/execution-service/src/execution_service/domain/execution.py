"""An execution: one run of a campaign, planned into shards, sent by workers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from contracts.events.campaign import ExecutionSnapshot, Totals

ExecutionStatus = Literal["planning", "running", "completed", "failed"]
UNDERWAY: frozenset[str] = frozenset({"planning", "running"})
"""Workers send while the execution is in one of these; they begin while planning goes on."""

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
    """One run of a campaign."""

    execution_id: str
    org: str
    campaign_id: str
    status: ExecutionStatus
    snapshot: ExecutionSnapshot
    created_at: datetime
    bot: BotRef | None = None
    plan: Plan = Plan()
    failure: tuple[str, str] | None = None
    planned_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def test_mode(self) -> bool:
        """Whether it goes to testers only and counts in no statistics."""
        return self.snapshot.options.test_mode

    @property
    def weight(self) -> int:
        """Its share of the bot's rate, beside others'."""
        return PRIORITY_WEIGHTS[self.snapshot.options.priority]


@dataclass(frozen=True, slots=True)
class ShardSums:
    """The sum over an execution's shards, in contacts; `undone` counts shards that are not done."""

    targeted: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    undone: int = 0

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
