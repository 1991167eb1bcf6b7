"""In-memory stand-ins for the kit's ports, for unit tests only."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar, cast

from contracts.envelope import AnyEvent
from contracts.ids import new_ulid

from service_kit.clock import Clock
from service_kit.errors import AlreadyHandled
from service_kit.idempotency.keys import Claim, KeyedRequest, KeyInFlight, KeyReused, Recorded
from service_kit.ports import Transactions, Tx

T = TypeVar("T")


class FixedClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def now(self) -> datetime:
        """The time it was set to."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self._now += timedelta(seconds=seconds)


class InMemoryTx:
    """Collects what shall happen at commit."""

    def __init__(self) -> None:
        self.on_commit: list[Callable[[], None]] = []


def staged(tx: Tx, effect: Callable[[], None]) -> None:
    """Let `effect` happen when `tx` commits; fakes of repositories use it for their writes."""
    cast(InMemoryTx, tx).on_commit.append(effect)


class InMemoryTransactions:
    """Commits all staged effects after `work`, none when it raises."""

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """`work`'s answer."""
        tx = InMemoryTx()
        answer = await work(cast(Tx, tx))
        for effect in tx.on_commit:
            effect()
        return answer


class Died(BaseException):
    """A process that dies: nothing in its way may catch it."""


class DyingTransactions:
    """Transactions of `inner` that work `lives` times; the next one dies before its commit, or just after."""

    def __init__(self, inner: Transactions, *, lives: int, after: bool) -> None:
        self._inner = inner
        self._lives = lives
        self._after = after

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """`work`'s answer, while there is life."""
        self._lives -= 1
        if self._lives >= 0:
            return await self._inner.run(work)

        async def dies(tx: Tx) -> T:
            await work(tx)
            raise Died

        if self._after:
            await self._inner.run(work)
            raise Died
        return await self._inner.run(dies)


class InMemoryOutbox:
    """Keeps committed events in `events`."""

    def __init__(self) -> None:
        self.events: list[AnyEvent] = []

    async def add(self, tx: Tx, *events: AnyEvent) -> None:
        """Stage `events`."""
        staged(tx, lambda: self.events.extend(events))


class InMemoryInbox:
    """Keeps committed marks in `marks`."""

    def __init__(self) -> None:
        self.marks: set[str] = set()

    async def mark(self, tx: Tx, *event_ids: str) -> None:
        """Stage the marks. Raises AlreadyHandled."""
        for event_id in event_ids:
            if event_id in self.marks:
                raise AlreadyHandled(event_id)
        staged(tx, lambda: self.marks.update(event_ids))


@dataclass
class _Key:
    claim: Claim
    created_at: datetime
    locked_until: datetime
    answer: Recorded | None = None


class InMemoryIdempotencyKeys:
    """The IdempotencyKeys port, in `rows`."""

    def __init__(self, *, clock: Clock, lock_seconds: float, keep_seconds: float) -> None:
        self.rows: dict[str, _Key] = {}
        self._clock = clock
        self._lock = timedelta(seconds=lock_seconds)
        self._keep = timedelta(seconds=keep_seconds)

    async def begin(self, request: KeyedRequest) -> Claim | Recorded:
        """The claim or the answer."""
        now = self._clock.now()
        row = self.rows.get(request.id)
        if row is not None and row.created_at > now - self._keep:
            if row.claim.request.fingerprint != request.fingerprint:
                raise KeyReused
            if row.answer is not None:
                return row.answer
            if row.locked_until > now:
                raise KeyInFlight
        claim = Claim(request, new_ulid())
        self.rows[request.id] = _Key(claim, now, now + self._lock)
        return claim

    async def finish(self, tx: Tx, claim: Claim, answer: Recorded) -> None:
        """Stage the answer."""
        row = self._held(claim)
        if row is None:
            raise KeyInFlight
        staged(tx, lambda: setattr(row, "answer", answer))

    async def release(self, claim: Claim) -> None:
        """Forget the claim."""
        if self._held(claim) is not None:
            del self.rows[claim.request.id]

    def _held(self, claim: Claim) -> _Key | None:
        row = self.rows.get(claim.request.id)
        return row if row is not None and row.claim == claim and row.answer is None else None
