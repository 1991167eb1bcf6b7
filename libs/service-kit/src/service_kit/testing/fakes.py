"""In-memory stand-ins for the kit's ports, for unit tests only."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar, cast

from contracts.envelope import AnyEvent

from service_kit.errors import AlreadyHandled
from service_kit.ports import Tx

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

    async def mark(self, tx: Tx, event_id: str) -> None:
        """Stage the mark. Raises AlreadyHandled."""
        if event_id in self.marks:
            raise AlreadyHandled(event_id)
        staged(tx, lambda: self.marks.add(event_id))
