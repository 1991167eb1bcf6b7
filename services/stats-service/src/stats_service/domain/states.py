"""What is known of the facts that have been counted, and what a batch changes: in and out of the fold.

Mental model: a fact has a name (a window of a shard; the planning of an execution; an end of one, by its
time) and counts once for ever, whatever the batches and however often it is published. The names that were
counted are kept beside the numbers, in the same book, and change in the same transaction. Their size is
bounded: a few ranges per shard, a flag and an end per execution.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from stats_service.domain.dimensions import Cell
from stats_service.domain.facts import (
    CampaignSeen,
    Clicked,
    ContactErased,
    Converted,
    Definition,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    FrozenLink,
    Messages,
    Outcome,
    PriceSet,
    SegmentKey,
    SegmentNamed,
    WindowRecorded,
)
from stats_service.domain.person import Person, Received
from stats_service.domain.windows import Ranges

NO_DEFINITION = Definition()


class ShardKey(NamedTuple):
    """A shard of an execution of a campaign."""

    campaign: str
    execution: str
    shard: int


class ExecutionKey(NamedTuple):
    """An execution of a campaign."""

    campaign: str
    execution: str


class PersonKey(NamedTuple):
    """A person of a campaign, by the contact's reference."""

    campaign: str
    contact: bytes


class Kin(NamedTuple):
    """What the rows of a tally that count in the same cells have in common."""

    minute: int
    message: str
    variation: str
    outcome: Outcome
    error: str
    segments: tuple[str, ...]


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
class CampaignState:
    """A campaign as the newest of its events tell it; `defined`, `frozen`: of definition and messages."""

    org: str
    name: str
    sequence: int
    deleted: bool = False
    defined: int = -1
    definition: Definition = NO_DEFINITION
    frozen: int = -1
    messages: Messages = ()


class Result(StrEnum):
    """What becomes of a fact: one of a person that has too many is dropped."""

    COUNTED = "counted"
    DUPLICATE = "duplicate"
    DROPPED = "dropped"


class Task(StrEnum):
    """What is counted of the shards of a campaign's executions: beside its totals, and by no time."""

    TOTAL = "tasksTotal"
    COMPLETED = "tasksCompleted"
    FAILED = "tasksFailed"


@dataclass(slots=True)
class BookChanges:
    """What a batch adds to a campaign's book. A campaign that has one is changed, even if by no number."""

    org: str
    tasks: dict[Task, int] = field(default_factory=dict)
    tally: dict[Kin, int] = field(default_factory=dict)
    cells: dict[Cell, int] = field(default_factory=dict)

    def count(self, cell: Cell, number: int) -> None:
        """Add `number` in `cell`."""
        self.cells[cell] = self.cells.get(cell, 0) + number

    def shards(self, task: Task, number: int) -> None:
        """So many more shards are `task`."""
        self.tasks[task] = self.tasks.get(task, 0) + number


@dataclass(slots=True)
class Names:
    """What the facts of a batch speak of: `engaged` did something, `reached` (by campaign) got something."""

    campaigns: set[str] = field(default_factory=set)
    shards: set[ShardKey] = field(default_factory=set)
    executions: set[ExecutionKey] = field(default_factory=set)
    engaged: set[PersonKey] = field(default_factory=set)
    reached: dict[str, bytearray] = field(default_factory=dict)
    orgs: set[str] = field(default_factory=set)
    segments: set[SegmentKey] = field(default_factory=set)


class Stand(NamedTuple):
    """The version of a campaign's book that holds, and the revision of its numbers."""

    version: int
    revision: int


@dataclass(frozen=True, slots=True)
class Ahead:
    """What had reached contacts that were no persons yet, as of some moment before a transaction.

    `stands` are those of their campaigns, read before; `received` has each contact that was looked for.
    """

    stands: Mapping[str, Stand] = field(default_factory=dict)
    received: Mapping[PersonKey, Sequence[Received]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Known:
    """What was told before of the things a batch speaks of; absent means nothing.

    `versions` are those of the campaigns' books, in which all this was found and where the changes belong;
    `revisions` are those of the campaigns' numbers before the changes.
    `people` are the persons among those engaged or reached in the batch; `received` is what had reached those
    of the engaged that are no persons yet.
    """

    versions: Mapping[str, int] = field(default_factory=dict)
    revisions: Mapping[str, int] = field(default_factory=dict)
    campaigns: Mapping[str, CampaignState] = field(default_factory=dict)
    shards: Mapping[ShardKey, ShardState] = field(default_factory=dict)
    executions: Mapping[ExecutionKey, ExecutionState] = field(default_factory=dict)
    people: Mapping[PersonKey, Person] = field(default_factory=dict)
    received: Mapping[PersonKey, Sequence[Received]] = field(default_factory=dict)
    prices: Mapping[str, PriceSet] = field(default_factory=dict)
    segments: Mapping[SegmentKey, SegmentNamed] = field(default_factory=dict)


@dataclass(slots=True)
class Changes:
    """What a batch changes: new states (to be set), increments (to be added), links, contacts (to be kept).

    `reached` are the references of those whom the messages of a shard reached, by what they received.
    `foreign` are the places of facts that another organisation than the campaign's told: not counted.
    """

    books: dict[str, BookChanges] = field(default_factory=dict)
    shards: dict[ShardKey, ShardState] = field(default_factory=dict)
    reached: dict[ShardKey, dict[Received, bytearray]] = field(default_factory=dict)
    executions: dict[ExecutionKey, ExecutionState] = field(default_factory=dict)
    people: dict[PersonKey, Person] = field(default_factory=dict)
    campaigns: dict[str, CampaignState] = field(default_factory=dict)
    links: list[FrozenLink] = field(default_factory=list)
    prices: dict[str, PriceSet] = field(default_factory=dict)
    segments: dict[SegmentKey, SegmentNamed] = field(default_factory=dict)
    erased: list[ContactErased] = field(default_factory=list)
    foreign: list[int] = field(default_factory=list)
    results: Counter[Result] = field(default_factory=Counter)

    def book(self, campaign: str, org: str) -> BookChanges:
        """What changes in the book of `campaign`."""
        found = self.books.get(campaign)
        if found is None:
            found = self.books[campaign] = BookChanges(org)
        return found


def engaged_in(facts: Iterable[Fact]) -> set[PersonKey]:
    """Whose clicks and conversions are among `facts`."""
    return {
        PersonKey(fact.campaign, fact.contact) for fact in facts if isinstance(fact, (Clicked, Converted))
    }


def names_in(facts: Iterable[Fact]) -> Names:
    """What `facts` speak of."""
    names = Names()
    for fact in facts:
        if isinstance(fact, PriceSet):
            names.orgs.add(fact.org)
        elif isinstance(fact, SegmentNamed):
            names.segments.add(fact.key)
        elif not isinstance(fact, ContactErased):
            names.campaigns.add(fact.campaign)
            if isinstance(fact, WindowRecorded):
                names.shards.add(ShardKey(fact.campaign, fact.execution, fact.shard))
                for row in fact.rows:
                    if row.contacts:
                        names.reached.setdefault(fact.campaign, bytearray()).extend(row.contacts)
            elif isinstance(fact, (Clicked, Converted)):
                names.engaged.add(PersonKey(fact.campaign, fact.contact))
            elif isinstance(fact, (ExecutionPlanned, ExecutionEnded)):
                names.executions.add(ExecutionKey(fact.campaign, fact.execution))
    return names


def campaign_seen(before: CampaignState | None, fact: CampaignSeen) -> CampaignState:
    """`before` with what `fact` tells that is newer; the organisation never changes."""
    state = before or CampaignState(fact.org, fact.name, -1)
    newer, defines = fact.sequence > state.sequence, fact.definition
    redefined = defines is not None and fact.sequence > state.defined
    refrozen = fact.messages is not None and fact.sequence > state.frozen
    return CampaignState(
        org=state.org,
        name=fact.name if newer else state.name,
        sequence=max(fact.sequence, state.sequence),
        deleted=fact.deleted if newer else state.deleted,
        defined=fact.sequence if redefined else state.defined,
        definition=defines if defines and redefined else state.definition,
        frozen=fact.sequence if refrozen else state.frozen,
        messages=fact.messages if fact.messages is not None and refrozen else state.messages,
    )
