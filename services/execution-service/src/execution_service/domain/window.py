"""A shard and its windows: where every contact of it stands, as a pure state machine.

A position is in exactly one place: in the queue at or after `next` (not tried in this step), in `retry`
(to be tried again), in the open window (perhaps being sent now), or final.

    open_window    queue or retry → window        stored as the intent, before anything is sent
                   queue or retry → retry         whose chat may not be sent to yet, in the same transaction
    close_window   window → final or retry        stored with the outcomes, in one transaction

Several messages: a contact that succeeded is `passed` to the next step; the step after starts when all
others are through this one. Whoever is not passed is counted then and there, so a contact counts once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from execution_service.domain.outcomes import Back, Candidate, Final
from execution_service.domain.spending import Account


@dataclass(frozen=True, slots=True)
class Waiting:
    """A contact that may be tried again from `due` on, when its quiet hours are over if it is `for_hours`."""

    candidate: Candidate
    due: datetime
    for_hours: bool = False


@dataclass(frozen=True, slots=True)
class ShardState:
    """Everything about a shard that its windows change.

    `size` is the number of contacts, `steps` of messages; `queue` is who the current step is for
    (None: all); `window` is the number that the next window gets; counts are contacts. `edition` is the one
    of the rules by which the dates of those who wait for their hours were found.
    """

    size: int
    steps: int = 1
    step: int = 0
    queue: tuple[int, ...] | None = None
    next: int = 0
    window: int = 0
    retry: tuple[Waiting, ...] = ()
    passed: tuple[int, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    errors: Mapping[str, int] = field(default_factory=dict)
    account: Account = field(default_factory=Account)
    done: bool = False
    edition: int = 0

    @property
    def last_step(self) -> bool:
        """Whether a success in this step is a success of the whole."""
        return self.step + 1 >= self.steps

    @property
    def length(self) -> int:
        """How many contacts the current step is for."""
        return self.size if self.queue is None else len(self.queue)

    def position(self, place: int) -> int:
        """The position at `place` of the current step's queue."""
        return place if self.queue is None else self.queue[place]


_FIRST_SHARDS = 125
_GROWS_EVERY = 4


def shard_size(number: int, *, most: int) -> int:
    """How many contacts the shard `number` of an execution gets, at most `most`.

    The first ones are small, so that a small execution is shared among runners: one alone waits for answers
    half of the time. Later ones grow, so that a large execution has few to lease and to sum.
    """
    return min(most, _FIRST_SHARDS << min(number // _GROWS_EVERY, 16))


def candidates(state: ShardState, *, limit: int, now: datetime) -> list[Candidate]:
    """At most `limit` contacts whose turn it is: those due again first, then untried ones."""
    due = [item.candidate for item in state.retry if item.due <= now][:limit]
    until = min(state.length, state.next + limit - len(due))
    return due + [Candidate(state.position(place)) for place in range(state.next, until)]


def next_due(state: ShardState) -> datetime | None:
    """When the first waiting contact may be tried again; None when nobody waits."""
    return min((item.due for item in state.retry), default=None)


def open_window(
    state: ShardState, taken: Sequence[Candidate], deferred: Sequence[Back] = (), *, reserved: int = 0
) -> ShardState:
    """The state with `taken`, a beginning of `candidates`, moved into the window numbered `state.window`.

    But for those `deferred` among them, whose turn has not come: they wait. `reserved` messages count as
    sent from now on.
    """
    positions = {item.position for item in taken}
    retry = tuple(item for item in state.retry if item.candidate.position not in positions)
    fresh = len(taken) - (len(state.retry) - len(retry))
    waiting = tuple(Waiting(item.candidate, item.due, item.for_hours) for item in deferred)
    return replace(
        state,
        next=state.next + fresh,
        retry=retry + waiting,
        window=state.window + 1,
        account=state.account.open(reserved),
    )


def close_window(state: ShardState, results: Sequence[Final | Back], *, spent: int = 0) -> ShardState:
    """The state once the open window's contacts all have their `results`; moves on to the next step.

    `spent`: the messages that the window adds to those before it.
    """
    counts, errors = dict(state.counts), dict(state.errors)
    passed, retry = list(state.passed), list(state.retry)
    for result in results:
        if isinstance(result, Back):
            retry.append(Waiting(result.candidate, result.due))
        elif result.status == "successful" and not state.last_step:
            passed.append(result.position)
        else:
            counts[result.status] = counts.get(result.status, 0) + 1
            if result.code is not None:
                errors[result.code] = errors.get(result.code, 0) + 1
    closed = replace(
        state,
        counts=counts,
        errors=errors,
        passed=tuple(passed),
        retry=tuple(retry),
        account=state.account.close(spent),
    )
    return _advanced(closed)


def _advanced(state: ShardState) -> ShardState:
    """On to the next step, or done, when nobody is left in this one."""
    if state.next < state.length or state.retry:
        return state
    if state.passed:
        return replace(state, step=state.step + 1, queue=tuple(sorted(state.passed)), next=0, passed=())
    return replace(state, done=True)
