"""What counting again needs of the world: other versions of books, and the log followed to its end."""

from collections.abc import AsyncIterator, Mapping, Sequence, Set
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NewType, Protocol

from service_kit.ports import Tx

from stats_service.application.ports import Partition, Record
from stats_service.domain.dimensions import Line
from stats_service.domain.fact_names import FactName

Totals = Mapping[tuple[Line, str], int]
"""(line, metric) → count; absent means 0."""


class Tail(Protocol):
    """The log, read in order by one who goes on where the last look ended."""

    at: Mapping[Partition, int]
    """The offset that is read next, of each partition."""

    def rest(self) -> AsyncIterator[tuple[Partition, Sequence[Record]]]:
        """What there is up to the ends as they are now, in handy pieces. Raises LogAway."""
        ...


class Follow(Protocol):
    """Opens the log."""

    def __call__(self) -> AbstractAsyncContextManager[Tail]:
        """At the first offset that every partition still has."""
        ...


class LivePositions(Protocol):
    """How far the numbers are that hold."""

    async def all_in(self, tx: Tx) -> Mapping[Partition, int]:
        """Every position there is, within `tx`."""
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """The version of a campaign's book that holds."""

    org: str
    version: int


class Superseded(Exception):
    """Somebody else has begun to count the campaign again."""


Names = NewType("Names", object)
"""Names of some facts of a book; only adapters look inside."""


class Books(Protocol):
    """The books of a campaign: the one that holds, and the one that is being made.

    Whoever begins last makes it, and nobody else any more: what the others do then raises Superseded, as does
    the `move` of their positions, and changes nothing.
    """

    async def begin(self, campaign: str) -> Holding | None:
        """Make the next book; nobody else does from now on. None for a campaign that nobody has told of.

        What it answers holds as long as nobody is Superseded by another beginning.
        """
        ...

    async def clear_others(self, campaign: str) -> None:
        """Remove all of the campaign's books but the one that holds, and how far those were."""
        ...

    def names(self, campaign: str, version: int) -> AsyncIterator[Names]:
        """The names of all facts in a book, in handy pieces."""
        ...

    async def missing(self, names: Names, campaign: str, version: int) -> Set[FactName]:
        """Those of `names` that are not in the book of `version`."""
        ...

    async def totals(self, tx: Tx, campaign: str, version: int) -> Totals:
        """Of all lines."""
        ...

    async def swap(self, tx: Tx, campaign: str, holding: Holding) -> None:
        """Let the next version hold, from this transaction on. Or Superseded.

        Whoever counts into the book that held, at the same time, conflicts with `tx`.
        """
        ...
