"""What the use cases need of the world."""

from collections.abc import AsyncIterator, Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from service_kit.errors import Retryable
from service_kit.ports import Tx

from stats_service.domain.facts import FrozenLink
from stats_service.domain.states import Ahead, Changes, Known, Names, PersonKey


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Record:
    """A message as Kafka keeps it; `at_ms` is when it was published (since the epoch)."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    at_ms: int


class Bounds(NamedTuple):
    """Of a partition: the first offset that is still readable, and the one the next message gets."""

    start: int
    end: int


class PositionMoved(Retryable):
    """Somebody else has moved the position: read it again."""


class LogAway(Retryable):
    """Kafka does not answer."""


class Log(Protocol):
    """The topics themselves, beside any consumer group."""

    async def bounds(self, topics: Collection[str]) -> Mapping[Partition, Bounds]:
        """Every partition of `topics`. Raises LogAway."""
        ...

    def read(self, partition: Partition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """What exists of [start, stop), in order, in handy pieces. Raises LogAway."""
        ...


class Positions(Protocol):
    """The last offset of each partition that is in the numbers; -1 for none."""

    async def all(self) -> Mapping[Partition, int]:
        """Every position there is."""
        ...

    async def read(self, partition: Partition) -> int:
        """The position, made when there is none."""
        ...

    async def read_in(self, tx: Tx, partition: Partition) -> int:
        """The position within `tx`."""
        ...

    async def move(self, tx: Tx, partition: Partition, *, before: int, after: int) -> None:
        """Compare and set. Raises PositionMoved when it is not `before` any more."""
        ...


class Ledger(Protocol):
    """The books of numbers, with the names of the facts that are in them."""

    async def look_ahead(self, engaged: Collection[PersonKey]) -> Ahead:
        """What had reached those of `engaged` that are no persons. May take longer than a transaction."""
        ...

    async def known(self, tx: Tx, names: Names, ahead: Ahead) -> Known:
        """What was told before of these. What `ahead` has is looked up again only where it has changed."""
        ...

    async def apply(self, tx: Tx, known: Known, changes: Changes) -> None:
        """Store `changes` of what was `known` in `tx`, and mark the campaigns that changed."""
        ...


@dataclass(frozen=True, slots=True)
class Announced:
    """A campaign's totals as of `revision`, by metric, to be told, and what a message of its `org` costs."""

    campaign: str
    org: str
    revision: int
    totals: Mapping[str, int]
    cost_per_message: float = 0


@dataclass(frozen=True, slots=True)
class NewPrice:
    """The price of `org`, in its `revision`, that not all campaigns show yet."""

    org: str
    revision: int


class Prices(Protocol):
    """What messages cost, by organisation, and the marks that say whose campaigns do not show it yet."""

    async def changed(self, limit: int) -> Sequence[NewPrice]:
        """Those that are marked."""
        ...

    async def spread(self, price: NewPrice) -> None:
        """Mark the organisation's campaigns to be told of, then take this price's mark off."""
        ...


class Announcements(Protocol):
    """The marks that say whose numbers have not been told."""

    async def due(self, before: datetime, limit: int) -> Sequence[str]:
        """Campaigns that are marked and were told of last at or before `before`."""
        ...

    async def take(
        self, tx: Tx, campaigns: Sequence[str], now: datetime, *, before: datetime
    ) -> Sequence[Announced]:
        """Take the marks off and note `now` as the time of telling.

        Left out are those without a mark, and those that were told of after `before`.
        """
        ...


class Owner(NamedTuple):
    """Whose a campaign is, and whether it has been deleted."""

    org: str
    deleted: bool


class Campaigns(Protocol):
    """Which campaigns exist, and whose they are."""

    async def owner_of(self, campaign: str) -> Owner | None:
        """Whose the campaign is; None while no event told of it."""
        ...


class Links(Protocol):
    """Where the buttons of executions lead."""

    async def get(self, execution: str, link: str) -> FrozenLink | None:
        """The link; None while no event told of it."""
        ...


class Pause(Protocol):
    """Lets time pass."""

    def __call__(self, seconds: float, /) -> Awaitable[None]:
        """Wait."""
        ...
