"""What the aggregator learns from events, free of their wire form."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, NamedTuple, TypeAlias

Outcome = Literal["successful", "failed", "skipped", "unknown"]


class TallyRow(NamedTuple):
    """`number` messages with this outcome in this minute (UTC, minutes since the epoch).

    `variation` and `error` are "" where there is none. `segments` are ids; `contacts` the references
    (`domain.people`) of those that the message reached, one after the other.
    """

    minute: int
    message: str
    variation: str
    outcome: Outcome
    error: str
    number: int
    segments: tuple[str, ...] = ()
    contacts: bytes = b""


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
    recorded_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExecutionPlanned:
    """An execution has so many shards: the campaign's tasks."""

    campaign: str
    org: str
    execution: str
    shards: int


@dataclass(frozen=True, slots=True, order=True)
class End:
    """How an execution ended at `at` (milliseconds since the epoch): `failed` shards were left undone.

    The greatest end of an execution is its latest: a completion comes after every failure, whatever the
    clocks say, failures by their own time. The number is in the order so that two failures of one moment
    have a winner, whichever comes first.
    """

    completed: bool
    at: int
    failed: int


@dataclass(frozen=True, slots=True)
class ExecutionEnded:
    """An execution is over: completed, or failed until it is mended and ends again."""

    campaign: str
    org: str
    execution: str
    end: End


@dataclass(frozen=True, slots=True)
class FrozenLink:
    """Where a button of an execution leads: (execution, link) names it for ever. `button` counts from 0."""

    execution: str
    link: str
    campaign: str
    org: str
    message: str
    button: int
    url: str
    test_mode: bool = False


@dataclass(frozen=True, slots=True)
class Definition:
    """What a campaign may cost, and the ids of its audience's segments."""

    budget: float | None = None
    segments: tuple[str, ...] = ()


Messages: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]
"""A campaign's messages: (message id, ids of its variations)."""


@dataclass(frozen=True, slots=True)
class CampaignSeen:
    """A campaign as of `sequence`, its version. A deleted one has no name any more.

    `definition` and `messages` are there when the event told them, `links` are those of the messages that an
    execution was given with this version.
    """

    campaign: str
    org: str
    name: str
    sequence: int
    deleted: bool = False
    links: tuple[FrozenLink, ...] = ()
    definition: Definition | None = None
    messages: Messages | None = None


@dataclass(frozen=True, slots=True)
class PriceSet:
    """What a message of `org` costs as of `revision` of its settings, and in which currency."""

    org: str
    cost_per_message: float
    revision: int
    currency: str = ""


class SegmentKey(NamedTuple):
    """A segment of an organisation."""

    org: str
    segment: str


@dataclass(frozen=True, slots=True)
class SegmentNamed:
    """What a segment is called as of `revision`."""

    org: str
    segment: str
    name: str
    revision: int
    deleted: bool = False

    @property
    def key(self) -> SegmentKey:
        """The segment's name for ever."""
        return SegmentKey(self.org, self.segment)


@dataclass(frozen=True, slots=True)
class Clicked:
    """A contact clicked on a message's button at `at` (ms). `contact` and `event` are references."""

    campaign: str
    org: str
    contact: bytes
    event: bytes
    message: str
    at: int


class ClickTold(NamedTuple):
    """The click that a conversion came from, by the word of its click id: when (ms), and on which message."""

    at: int
    message: str


@dataclass(frozen=True, slots=True)
class Converted:
    """A contact converted at `at` (ms). `contact` and `conversion` are references.

    `value` is money in `MONEY_UNITS`ths.
    """

    campaign: str
    org: str
    contact: bytes
    conversion: bytes
    value: int
    currency: str
    at: int
    click: ClickTold | None = None


@dataclass(frozen=True, slots=True)
class ContactErased:
    """A person was erased: what names the contact is to be forgotten."""

    org: str
    contact: str


CampaignFact: TypeAlias = (
    WindowRecorded | ExecutionPlanned | ExecutionEnded | CampaignSeen | Clicked | Converted
)
"""What speaks of a campaign."""
Fact: TypeAlias = CampaignFact | PriceSet | SegmentNamed | ContactErased
