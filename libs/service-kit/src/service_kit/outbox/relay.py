"""The relay: moves outbox rows to Kafka, in order per key, at least once.

Mental model: whoever leads reads a page of the oldest rows (for each key a prefix of what waits), sends
it, and removes what Kafka acknowledged, but never a row behind one of its key that was not. So whoever
publishes a row has published the one before it, or has seen it removed because it was published. That
holds for any number of relays at once, for one that was paused and wakes up in the middle, and wherever
one dies: rows may be repeated, the first time that each arrives is in order. Leading only keeps the
repetitions few, so it may be lost at any moment.

A row that Kafka refuses for good closes its key (see waiting_rows); rows that fail for another reason
are tried again, and until then the relay looks further, so that a sick partition does not hide the rest.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from time import monotonic
from typing import Protocol

from pymongo.errors import PyMongoError

from service_kit.clock import Clock
from service_kit.kafka.producer import RecordRefused
from service_kit.logging import get_logger
from service_kit.metrics import (
    OUTBOX_HELD,
    OUTBOX_LEADER,
    OUTBOX_OLDEST,
    OUTBOX_PUBLISHED,
    OUTBOX_REFUSED,
    OUTBOX_WAITING,
)
from service_kit.outbox.waiting_rows import Backlog, Page, Row

log = get_logger()

BACKLOG_SECONDS = 1
"""How often the backlog is counted and the closed keys are read."""
FINISH_SECONDS = 5
"""How long a page on its way may take to its end when the process stops; less than the process's drain."""


class Publisher(Protocol):
    """Sends records."""

    async def publish(
        self, records: Sequence[tuple[str, str, bytes]], may_go_on: Callable[[], bool]
    ) -> list[BaseException | None]:
        """Send (topic, key, value) in this order; for each, None once acknowledged or why not.

        No record is sent after one of its key that was not acknowledged. RecordRefused is for ever.
        """
        ...


class Lease(Protocol):
    """Says who leads."""

    seconds: float

    async def acquire(self) -> int | None:
        """Take or renew. The epoch, or None while somebody else has it."""
        ...

    async def release(self) -> None:
        """Let the next one take it at once."""
        ...


class WaitingRows(Protocol):
    """The outbox, from the relay's side."""

    async def page(self, limit: int, *, after: str | None, closed: frozenset[str]) -> Page:
        """Rows behind `after`, none of a closed key, for each key a prefix of what waits."""
        ...

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget rows."""
        ...

    async def close_key(self, row: Row, reason: str) -> None:
        """Publish nothing more of this row's key."""
        ...

    async def backlog(self) -> Backlog:
        """What waits."""
        ...


class Relay:
    """Runs until cancelled."""

    def __init__(
        self,
        rows: WaitingRows,
        *,
        publisher: Publisher,
        lease: Lease,
        clock: Clock,
        batch: int,
        poll_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._rows = rows
        self._publisher = publisher
        self._lease = lease
        self._clock = clock
        self._batch = batch
        self._poll = poll_seconds
        self._retry = retry_seconds
        self._leads_until = 0.0
        self._epoch = 0
        self._after: str | None = None
        self._closed: frozenset[str] = frozenset()
        self._counted_at = float("-inf")
        self._oldest: datetime | None = None

    async def run(self) -> None:
        """Relay for ever: a database or a broker that is away delays rows, nothing more."""
        OUTBOX_OLDEST.set_function(self._age_of_oldest)  # grows also while a broker or the database hangs
        try:
            while True:
                try:
                    pause = await self._turn_to_its_end()
                except PyMongoError as error:
                    log.warning("relay.waiting", reason=type(error).__name__)
                    pause = self._retry
                await asyncio.sleep(pause)
        finally:
            self._stands_by()
            await self._let_go()

    async def _turn_to_its_end(self) -> float:
        """A turn that a cancellation does not cut: the next leader would repeat what is on its way."""
        turn = asyncio.create_task(self.turn())
        try:
            return await asyncio.shield(turn)
        except asyncio.CancelledError:
            self._leads_until = 0  # sends nothing more
            done, _ = await asyncio.wait({turn}, timeout=FINISH_SECONDS)
            turn.cancel()
            with suppress(PyMongoError, asyncio.CancelledError):
                await turn
            log.info("relay.stopped", page_finished=bool(done))
            raise

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._lease.release()
        except (PyMongoError, TimeoutError) as error:
            log.warning("relay.lease_left_to_expire", reason=type(error).__name__)

    async def turn(self) -> float:
        """One look at the outbox, if we lead; the pause before the next one, in seconds."""
        if monotonic() > self._leads_until - self._lease.seconds * 2 / 3:  # not each time: it is a write
            asked_at = monotonic()
            epoch = await self._lease.acquire()
            if epoch is None:
                self._stands_by()
                return self._retry
            OUTBOX_LEADER.set(1)
            # From before the question: the lease ends here no later than it does in the database.
            self._leads_until, self._epoch = asked_at + self._lease.seconds, epoch
        async with self._renewing(self._epoch):
            moved, stuck = await self.relay_page()
        if stuck and not (moved and self._after):
            return self._retry
        return 0 if moved >= self._batch else self._poll

    @asynccontextmanager
    async def _renewing(self, epoch: int) -> AsyncIterator[None]:
        """Keep the lease while a page is on its way, which takes long when Kafka is slow."""
        keeping = asyncio.create_task(self._renew(epoch), name="relay-lease")
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping

    async def _renew(self, epoch: int) -> None:
        while True:
            await asyncio.sleep(self._lease.seconds / 3)
            asked_at = monotonic()
            try:
                mine = await self._lease.acquire() == epoch
            except PyMongoError as error:
                log.warning("relay.lease_not_renewed", reason=type(error).__name__)
                continue
            if not mine:  # taken while we were paused, by ourselves again or by another
                self._leads_until = 0
                return
            if self._leads_until:
                self._leads_until = asked_at + self._lease.seconds

    def _leads(self) -> bool:
        return monotonic() < self._leads_until

    def _stands_by(self) -> None:
        """Show no numbers of ours: the leader shows them."""
        self._leads_until, self._oldest = 0, None
        for gauge in (OUTBOX_LEADER, OUTBOX_WAITING, OUTBOX_HELD):
            gauge.set(0)

    def _age_of_oldest(self) -> float:
        oldest = self._oldest
        return 0 if oldest is None else max(0.0, (self._clock.now() - oldest).total_seconds())

    async def relay_page(self) -> tuple[int, int]:
        """Publish one page: how many rows were moved, and how many stay because Kafka did not take them."""
        await self._count()
        page = await self._rows.page(self._batch, after=self._after, closed=self._closed)
        if self._after is None:
            self._oldest = min((row.created_at for row in page.rows), default=None)
        if not page.rows:
            self._after = None
            return 0, 0
        records = [(row.topic, row.key, row.value) for row in page.rows]
        answers = await self._publisher.publish(records, self._leads)
        done, stuck = await self._settle(page.rows, answers)
        if done:
            await self._rows.remove(done)
        # Once something is stuck, walk on to the end before it is tried again.
        self._after = page.after if stuck or self._after is not None else None
        return len(done), stuck

    async def _count(self) -> None:
        if monotonic() < self._counted_at + BACKLOG_SECONDS:
            return
        backlog = await self._rows.backlog()
        self._counted_at = monotonic()
        self._closed = backlog.closed
        OUTBOX_WAITING.set(backlog.waiting)
        OUTBOX_HELD.set(backlog.held)

    async def _settle(
        self, rows: Sequence[Row], answers: Sequence[BaseException | None]
    ) -> tuple[list[str], int]:
        """Ids that may be removed: acknowledged, with every earlier row of the key acknowledged too."""
        broken: dict[str, BaseException] = {}
        done: list[str] = []
        for row, error in zip(rows, answers, strict=True):
            if row.key in broken:
                continue
            if error is None:
                done.append(row.id)
                OUTBOX_PUBLISHED.labels(type=row.type).inc()
                continue
            broken[row.key] = error
            if isinstance(error, RecordRefused):
                await self._close(row, str(error))
        if broken:
            reasons = sorted({type(error).__name__ for error in broken.values()})
            log.warning("relay.not_acknowledged", keys=len(broken), reasons=reasons)
        return done, len(rows) - len(done)

    async def _close(self, row: Row, reason: str) -> None:
        await self._rows.close_key(row, reason)
        self._closed |= {row.key}
        OUTBOX_REFUSED.labels(type=row.type).inc()
        log.error(
            "relay.refused", key=row.key, row=row.id, type=row.type, bytes=len(row.value), reason=reason
        )
