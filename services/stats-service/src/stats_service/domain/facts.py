"""What the aggregator learns from events, free of their wire form."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Outcome = Literal["successful", "failed", "skipped", "unknown"]


@dataclass(frozen=True, slots=True)
class TallyRow:
    """`count` messages with this outcome in this minute (UTC, minutes since the epoch)."""

    minute: int
    message: str
    variation: str | None
    outcome: Outcome
    error: str | None
    count: int


@dataclass(frozen=True, slots=True)
class WindowRecorded:
    """The outcomes of one window of a shard. (execution, shard, window) names it for ever."""

    campaign: str
    org: str
    execution: str
    shard: int
    window: int
    shard_completed: bool
    rows: tuple[TallyRow, ...]


@dataclass(frozen=True, slots=True)
class ExecutionPlanned:
    """An execution has so many shards: the campaign's tasks."""

    campaign: str
    org: str
    execution: str
    shards: int


@dataclass(frozen=True, slots=True)
class ExecutionEnded:
    """An execution is over; `shards_failed` of its shards were left undone."""

    campaign: str
    org: str
    execution: str
    shards_failed: int


@dataclass(frozen=True, slots=True)
class CampaignSeen:
    """A campaign as of `sequence`, its version."""

    campaign: str
    org: str
    name: str
    sequence: int


Fact: TypeAlias = WindowRecorded | ExecutionPlanned | ExecutionEnded | CampaignSeen
