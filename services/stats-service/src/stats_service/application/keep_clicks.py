"""Clicks on their way to the outbox.

Mental model: who clicks waits until the click is stored, in one transaction with those that came meanwhile,
but not longer than `patience_seconds`: a database that is away must not keep people from where they want to
go. Their clicks wait here, as many as `waiting`, and are stored when it is back. What comes beyond that, and
what a process that is told to stop cannot store at once, is lost, and counted; what waits in a process that
is killed is lost with it.
"""

import asyncio
import contextlib
from collections.abc import Callable

from contracts.envelope import AnyEvent
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

log = get_logger()

BATCH = 500
LAST_TRY_SECONDS = 2.0

Told = Callable[[str, int], None]
"""Hears what became of so many clicks: stored, or lost."""
Waiting = tuple[AnyEvent, asyncio.Event]


class KeepClicks:
    """Stores clicks in batches; `run` does the work. Make it inside the event loop."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        outbox: Outbox,
        waiting: int,
        patience_seconds: float,
        retry_seconds: float,
        told: Told,
    ) -> None:
        self._transactions = transactions
        self._outbox = outbox
        self._queue: asyncio.Queue[Waiting] = asyncio.Queue(waiting)
        self._patience = patience_seconds
        self._retry = retry_seconds
        self._told = told
        self._ended = False

    async def note(self, event: AnyEvent) -> None:
        """Keep the event; returns when it is stored, or soon when it has to wait. Never raises."""
        stored = asyncio.Event()
        if self._ended:  # requests under way go on for a while when the process stops
            await self._last([(event, stored)])
            return
        try:
            self._queue.put_nowait((event, stored))
        except asyncio.QueueFull:
            self._told("lost", 1)
            return
        with contextlib.suppress(TimeoutError):  # `_stored` tells why
            async with asyncio.timeout(self._patience):
                await stored.wait()

    async def run(self) -> None:
        """Store what comes, for ever; cancelled, try once more with what waits, then with each that comes."""
        batch: list[Waiting] = []
        try:
            while True:
                batch = batch or [await self._queue.get(), *self._next(BATCH - 1)]
                if await self._stored(batch):
                    batch = []
                else:
                    await asyncio.sleep(self._retry)
        finally:
            self._ended = True
            await self._last([*batch, *self._next(self._queue.qsize())])

    def _next(self, most: int) -> list[Waiting]:
        """What waits, in order, without waiting for more."""
        return [self._queue.get_nowait() for _ in range(min(most, self._queue.qsize()))]

    async def _last(self, left: list[Waiting]) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_TRY_SECONDS):
                while left and await self._stored(left[:BATCH]):
                    left = left[BATCH:]
        if left:
            self._told("lost", len(left))
            log.error("clicks.lost", count=len(left))

    async def _stored(self, batch: list[Waiting]) -> bool:
        """Whether all of `batch` is in the outbox now. A lost answer repeats events under their ids."""

        async def work(tx: Tx) -> None:
            await self._outbox.add(tx, *(event for event, _ in batch))

        try:
            await self._transactions.run(work)
        except Exception as error:
            log.warning("clicks.waiting", count=len(batch), reason=type(error).__name__)
            return False
        self._told("stored", len(batch))
        for _, stored in batch:
            stored.set()
        return True
