"""Folding: a batch of facts and what is known already → what changes.

Mental model: a fact has a name (a window of a shard; the planning of an execution; an end of one, by its
time) and counts once for ever, whatever the batches and however often it is published. An execution that
failed may be mended and end again: its latest end counts, in place of the one before. The names that
were counted travel with the numbers, in the same transaction. Their size is bounded: a few ranges per
shard, a flag and an end per execution.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from stats_service.domain.facts import (
    CampaignSeen,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    FrozenLink,
    PriceSet,
    WindowRecorded,
)
from stats_service.domain.numbers import Counts, Numbers
from stats_service.domain.windows import Ranges, with_window


class ShardKey(NamedTuple):
    """A shard of an execution."""

    execution: str
    shard: int


class MinuteKey(NamedTuple):
    """What is counted per minute: a message's variation (None: the message's own text)."""

    campaign: str
    minute: int
    message: str
    variation: str | None


@dataclass(frozen=True, slots=True)
class ShardState:
    """Which windows of a shard have been counted, and whether its completion has."""

    windows: Ranges = ()
    completed: bool = False


@dataclass(frozen=True, slots=True)
class ExecutionState:
    """Which facts of an execution have been counted: its planning, and the latest of its ends."""

    planned: bool = False
    end: End | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What has been counted of the shards and executions a batch speaks of; absent means nothing."""

    shards: Mapping[ShardKey, ShardState] = field(default_factory=dict)
    executions: Mapping[str, ExecutionState] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """What a batch changes: new states (to be set), increments (to be added), links (to be kept)."""

    shards: dict[ShardKey, ShardState] = field(default_factory=dict)
    executions: dict[str, ExecutionState] = field(default_factory=dict)
    campaigns: dict[str, CampaignSeen] = field(default_factory=dict)
    links: list[FrozenLink] = field(default_factory=list)
    prices: dict[str, PriceSet] = field(default_factory=dict)
    numbers: dict[str, Numbers] = field(default_factory=dict)
    minutes: dict[MinuteKey, Counts] = field(default_factory=dict)
    counted: int = 0
    duplicates: int = 0

    def of(self, campaign: str, org: str) -> Numbers:
        """The increments of `campaign`."""
        return self.numbers.setdefault(campaign, Numbers(org=org))


def fold(facts: Iterable[Fact], known: Known) -> Changes:
    """What `facts` change, each counted once."""
    changes = Changes()
    for fact in facts:
        if isinstance(fact, WindowRecorded):
            new = _window(fact, known, changes)
        elif isinstance(fact, CampaignSeen):
            new = _campaign(fact, changes)
        elif isinstance(fact, PriceSet):
            new = _price(fact, changes)
        else:
            new = _execution(fact, known, changes)
        changes.counted += new
        changes.duplicates += not new
    return changes


def _window(fact: WindowRecorded, known: Known, changes: Changes) -> bool:
    key = ShardKey(fact.execution, fact.shard)
    before = changes.shards.get(key) or known.shards.get(key) or ShardState()
    windows = with_window(before.windows, fact.window)
    if windows is None:
        return False
    changes.shards[key] = ShardState(windows, before.completed or fact.shard_completed)
    numbers = changes.of(fact.campaign, fact.org)
    numbers.tasks.completed += fact.shard_completed and not before.completed
    for row in fact.rows:
        numbers.counts.add(row)
        minute = MinuteKey(fact.campaign, row.minute, row.message, row.variation)
        changes.minutes.setdefault(minute, Counts()).add(row)
    return True


def _execution(fact: ExecutionPlanned | ExecutionEnded, known: Known, changes: Changes) -> bool:
    before = (
        changes.executions.get(fact.execution) or known.executions.get(fact.execution) or ExecutionState()
    )
    if isinstance(fact, ExecutionPlanned):
        if before.planned:
            return False
        changes.executions[fact.execution] = replace(before, planned=True)
        changes.of(fact.campaign, fact.org).tasks.total += fact.shards
    else:
        if before.end is not None and fact.end <= before.end:
            return False
        changes.executions[fact.execution] = replace(before, end=fact.end)
        counted = before.end.failed if before.end else 0
        changes.of(fact.campaign, fact.org).tasks.failed += fact.end.failed - counted
    return True


def _campaign(fact: CampaignSeen, changes: Changes) -> bool:
    before = changes.campaigns.get(fact.campaign)
    if before is None or before.sequence < fact.sequence:
        changes.campaigns[fact.campaign] = fact
    changes.links += fact.links  # whatever the order: a link never changes
    return True


def _price(fact: PriceSet, changes: Changes) -> bool:
    before = changes.prices.get(fact.org)
    if before is None or before.revision < fact.revision:
        changes.prices[fact.org] = fact
    return True
