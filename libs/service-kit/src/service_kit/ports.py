"""The protocols that application code sees of the kit: no driver, no bus.

Mental model: `transactions.run(work)` calls `work(tx)`, commits, and may call it again when the
database asks for it. Everything done with that `tx` (documents, `outbox.add`, `inbox.mark`) happens
together or not at all.
"""

from collections.abc import Awaitable, Callable
from typing import NewType, Protocol, TypeVar

from contracts.envelope import AnyEvent

Tx = NewType("Tx", object)
"""A running transaction; only adapters look inside."""

T = TypeVar("T")


class Transactions(Protocol):
    """Runs work atomically."""

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """`work`'s answer, once committed. `work` may run more than once: it must not act outside `tx`."""
        ...


class Outbox(Protocol):
    """Events that become true with the transaction and reach Kafka at least once, in order per subject."""

    async def add(self, tx: Tx, *events: AnyEvent) -> None:
        """Store `events` for the relay, in this order. Call it after the write that they tell of."""
        ...


class Inbox(Protocol):
    """Remembers which events took effect."""

    async def mark(self, tx: Tx, *event_ids: str) -> None:
        """Note that the events take effect in `tx`. Raises AlreadyHandled when one of them already has."""
        ...
