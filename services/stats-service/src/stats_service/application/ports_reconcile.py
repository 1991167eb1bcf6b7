"""What reconciling needs of the world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from stats_service.domain.dimensions import Line
from stats_service.domain.windows import Ranges


class Held(NamedTuple):
    """Which book of a campaign holds, and in which state it is: every change raises the revision."""

    version: int
    revision: int


class ShardWindows(NamedTuple):
    """The windows of a shard that are in a book."""

    execution: str
    shard: int
    windows: Ranges


@dataclass(frozen=True, slots=True)
class Written:
    """What a book says: the totals of all lines, what all days of each add up to, and of which windows."""

    totals: Mapping[tuple[Line, str], int]
    days: Mapping[tuple[Line, str], int]
    shards: Sequence[ShardWindows]


class WrittenBooks(Protocol):
    """Reads the books that hold."""

    async def held(self) -> Mapping[str, Held]:
        """Of every campaign that has numbers."""
        ...

    async def orgs(self) -> Mapping[str, str]:
        """Campaign → whose it is, of those that were told of."""
        ...

    async def held_of(self, campaign: str) -> Held | None:
        """Of one campaign, now."""
        ...

    async def read(self, campaign: str, version: int) -> Written:
        """What the book says."""
        ...


class Nights(Protocol):
    """When the books were reconciled last, whoever did it."""

    async def last(self, now: datetime) -> datetime:
        """`now`, and remembered, when they never were: the first time is the night after the first start."""
        ...

    async def done(self, at: datetime) -> None:
        """They were, at this time."""
        ...


class Turn(Protocol):
    """The right to do something alone."""

    async def acquire(self) -> int | None:
        """Take or keep it; None while somebody else has it."""
        ...

    async def release(self) -> None:
        """Let the next one take it."""
        ...
