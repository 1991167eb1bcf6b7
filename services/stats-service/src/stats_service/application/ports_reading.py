"""What answers need of the world."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from service_kit.ports import Tx

from stats_service.domain.dimensions import Kind, Line
from stats_service.domain.series import Counts, Row


@dataclass(frozen=True, slots=True)
class Stamp:
    """All that an answer depends on beside time and the names of segments, the numbers by their revision.

    `version` and `revision` are those of the campaign's book (0 and 0: it has none yet): numbers do not
    change without one of them. `segments` are the audience's; `messages` are (message, its variations).
    """

    campaign: str
    org: str
    deleted: bool
    budget: float | None
    segments: tuple[str, ...]
    messages: tuple[tuple[str, tuple[str, ...]], ...]
    version: int
    revision: int
    cost_per_message: float
    currency: str


class Books(Protocol):
    """Reads campaigns' numbers. Without `tx` what holds now, within it all as of one moment."""

    async def stamp(self, campaign: str, org: str, tx: Tx | None = None) -> Stamp | None:
        """The campaign's; None while no event told of it, and for another organisation's."""
        ...

    async def names(self, org: str, segments: Collection[str], tx: Tx | None = None) -> Mapping[str, str]:
        """The names of those segments that are known; deleted ones keep their last."""
        ...

    async def totals(self, tx: Tx, stamp: Stamp, kind: Kind) -> Mapping[Line, Counts]:
        """What the lines of a kind counted, ever."""
        ...

    async def quarters(
        self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int] | None, metrics: Collection[str] = ()
    ) -> Sequence[Row]:
        """What they counted by quarter of an hour, on all UTC days that the minutes `between` (both
        inclusive; None: all time) touch. `metrics`: these only."""
        ...

    async def minutes(self, tx: Tx, stamp: Stamp, kind: Kind, between: tuple[int, int]) -> Sequence[Row]:
        """What they counted by minute, in all hours that the minutes `between` touch; kept for some days."""
        ...
