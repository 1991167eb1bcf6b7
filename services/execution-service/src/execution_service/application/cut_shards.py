"""Cutting contacts into shards: each for one bot, and of one clock where quiet hours are each contact's own.

Whose clocks show the same may be sent to at the same time, so their shard waits as a whole: planned in the
night, it is stored with the time at which it is first looked at. Nothing depends on it: a contact's clock is
looked at again before it is sent to.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Generic, TypeVar

from service_kit.clock import Clock

from execution_service.application.await_hours import AwaitHours
from execution_service.domain.execution import Execution
from execution_service.domain.holding import Held, PlannedHours
from execution_service.domain.quiet_hours import Hours, Outlooks
from execution_service.domain.sampling import share_out
from execution_service.domain.window import shard_size

T = TypeVar("T")
_MOST_KINDS = 64
"""Clocks and bots are so many kinds of shards at most, as far as is collected for: it is held in memory."""


@dataclass(frozen=True, slots=True)
class Cut(Generic[T]):
    """What a shard is to be; `part` is the place of its bot."""

    part: int
    hours: PlannedHours
    contacts: Sequence[T]


@dataclass(slots=True)
class Cutting:
    """One plan's measure: `kinds` of shards came of the last cut, `size` contacts are to be in each now."""

    most: int
    kinds: int

    def size(self, shards: int) -> int:
        """When there are so many shards already."""
        return shard_size(shards // self.kinds, most=self.most)

    def enough(self, shards: int) -> int:
        """How many contacts are cut at once."""
        return self.size(shards) * self.kinds


class CutShards:
    """Cuts. A shard has `most` contacts, or half as many again where shares are uneven."""

    def __init__(self, *, hours: AwaitHours, clock: Clock, most: int) -> None:
        self._hours = hours
        self._clock = clock
        self._most = most

    def begin(self, execution: Execution) -> Cutting:
        """For the plan of `execution`."""
        return Cutting(self._most, execution.parts)

    async def __call__(
        self,
        execution: Execution,
        contacts: Sequence[T],
        cutting: Cutting,
        *,
        shards: int,
        by: Callable[[T], str],
    ) -> list[Cut[T]]:
        """`contacts`, behind so many `shards` that there are, in their order; `by` tells a contact's id."""
        hours, now = await self._hours.hours(execution), self._clock.now()
        zones = await self._hours.zones(execution.org, [by(contact) for contact in contacts], hours)
        kinds: dict[tuple[int | None, int], list[tuple[T, str | None]]] = {}
        for offset, people in _by_clock(contacts, zones, hours, now).items():
            for part, some in share_out(people, execution.parts, by=lambda pair: by(pair[0])).items():
                kinds[offset, part] = some
        size = cutting.size(shards)
        cutting.kinds = min(_MOST_KINDS, max(execution.parts, len(kinds)))
        outlooks = Outlooks(hours, now)
        return [
            Cut(part, _planned(piece, outlooks, hours), [contact for contact, _ in piece])
            for (_, part), some in kinds.items()
            for piece in _pieces(some, size)
        ]


def _by_clock(
    contacts: Sequence[T], zones: Sequence[str | None], hours: Hours, now: datetime
) -> dict[int | None, list[tuple[T, str | None]]]:
    """The contacts with their time zones, by the seconds that their clocks are east of UTC."""
    pairs = list(zip(contacts, zones, strict=True))
    if hours.quiet is None:
        return {None: pairs}
    offsets = {zone: hours.offset(zone, now) for zone in set(zones)}
    found: dict[int | None, list[tuple[T, str | None]]] = {}
    for pair in pairs:
        found.setdefault(offsets[pair[1]], []).append(pair)
    return found


def _pieces(people: Sequence[T], size: int) -> list[Sequence[T]]:
    """Of about `size`, none much smaller than the others."""
    pieces = max(1, round(len(people) / size))
    edges = [len(people) * number // pieces for number in range(pieces + 1)]
    return [people[begin:end] for begin, end in pairwise(edges)]


def _planned(people: Sequence[tuple[T, str | None]], outlooks: Outlooks, hours: Hours) -> PlannedHours:
    """How they stand; they wait as a shard if all do."""
    timezone = people[0][1]
    found = [outlooks.of(zone) for zone in {zone for _, zone in people}]
    if any(outlook.open for outlook in found):
        return PlannedHours(None, timezone)
    first = min(outlook.until for outlook in found)
    return PlannedHours(Held(len(people), first, hours.edition), timezone)
