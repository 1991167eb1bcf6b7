"""How a shard waits for its contacts' hours: as a whole while nobody may be sent to, else contact by contact.

As a whole costs nothing: the shard is given back until the first of its contacts may be sent to, its queue
as it is. Where some may be sent to and others not (a contact moved, two zones of one offset parted), those
others wait in `retry` with dates of their own, so that the queue goes on behind them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from execution_service.domain.outcomes import Candidate
from execution_service.domain.window import ShardState, Waiting


@dataclass(frozen=True, slots=True)
class Held:
    """So many contacts of a shard wait for their hours; at `until` (UTC) the first one's turn comes.

    `edition` is the one of the rules by which that was found.
    """

    count: int
    until: datetime
    edition: int


@dataclass(frozen=True, slots=True)
class PlannedHours:
    """How a new shard's contacts stand: how they wait (None: they need not), and a time zone in which clocks
    show what theirs do (None: the organisation's)."""

    held: Held | None = None
    timezone: str | None = None


NO_HOURS = PlannedHours()


def held(state: ShardState) -> Held | None:
    """Those who wait contact by contact; None when nobody does."""
    dates = [item.due for item in state.retry if item.for_hours]
    return Held(len(dates), min(dates), state.edition) if dates else None


def woken(state: ShardState, edition: int, *, now: datetime) -> ShardState:
    """The state under rules of this edition: who waits because of other ones is looked at now."""
    if state.edition == edition:
        return state
    retry = tuple(replace(item, due=now) if item.for_hours else item for item in state.retry)
    return replace(state, retry=retry, edition=edition)


def remaining(state: ShardState) -> list[int]:
    """The positions of all that the current step has not come to an end with."""
    queue = [state.position(place) for place in range(state.next, state.length)]
    return [item.candidate.position for item in state.retry] + queue


def hold(
    state: ShardState, opens: Mapping[int, datetime], *, now: datetime
) -> tuple[ShardState, Held | None]:
    """The state when all whose turn it was must wait, and the wait of the whole shard, if all wait.

    `opens`: for each of `remaining` when it may be sent to; `now` for those who may. If some may, the others
    at the head of the queue make way for them.
    """
    retry = tuple(_waiting(item, opens[item.candidate.position], now) for item in state.retry)
    state = replace(state, retry=retry)
    queue = [state.position(place) for place in range(state.next, state.length)]
    first = min([item.due for item in retry] + [opens[position] for position in queue])
    if first <= now:
        return _made_way(state, queue, opens, now), None
    count = sum(item.for_hours for item in retry) + sum(opens[position] > now for position in queue)
    return state, Held(count, first, state.edition)


def _waiting(item: Waiting, opens: datetime, now: datetime) -> Waiting:
    """One that waits, with the date that its hours make of it."""
    if opens > now:
        return Waiting(item.candidate, opens if item.for_hours else max(opens, item.due), for_hours=True)
    return Waiting(item.candidate, now) if item.for_hours else item


def _made_way(
    state: ShardState, queue: list[int], opens: Mapping[int, datetime], now: datetime
) -> ShardState:
    ready = next((place for place, position in enumerate(queue) if opens[position] <= now), 0)
    aside = tuple(Waiting(Candidate(position), opens[position], for_hours=True) for position in queue[:ready])
    return replace(state, retry=state.retry + aside, next=state.next + ready)
