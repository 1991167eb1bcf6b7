"""The relay: moves outbox rows to Kafka, in order per key, at least once.

Mental model: whoever holds the lease reads a batch of the oldest rows, adds every waiting row of the
same keys, and sends them sorted by (sequence, id): two replicas' clocks may differ, the campaign's
version does not. A row is deleted only after Kafka acknowledged it, and never past a row of its key
that was not. Dying anywhere repeats rows; it never loses or reorders them for a consumer that
remembers what it has seen.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from pymongo.errors import PyMongoError

from service_kit.clock import Clock
from service_kit.logging import get_logger
from service_kit.metrics import OUTBOX_LEADER, OUTBOX_OLDEST, OUTBOX_PUBLISHED
from service_kit.mongo.client import Database, Document
from service_kit.mongo.lease import MongoLease
from service_kit.outbox.mongo_outbox import COLLECTION

log = get_logger()


class Publisher(Protocol):
    """Sends records."""

    async def publish(self, records: Sequence[tuple[str, str, bytes]]) -> list[BaseException | None]:
        """Send (topic, key, value) in this order; for each, None once acknowledged or why not."""
        ...


class Relay:
    """Runs until cancelled."""

    def __init__(
        self,
        database: Database,
        *,
        publisher: Publisher,
        lease: MongoLease,
        clock: Clock,
        batch: int,
        poll_seconds: float,
        retry_seconds: float,
    ) -> None:
        self._rows = database[COLLECTION]
        self._publisher = publisher
        self._lease = lease
        self._clock = clock
        self._batch = batch
        self._poll = poll_seconds
        self._retry = retry_seconds
        self.last_progress = clock.now()

    async def run(self) -> None:
        """Relay for ever: a database or a broker that is away delays rows, nothing more."""
        try:
            while True:
                try:
                    pause = await self._turn()
                except PyMongoError as error:
                    log.warning("relay.waiting", reason=type(error).__name__)
                    pause = self._retry
                await asyncio.sleep(pause)
        finally:
            OUTBOX_LEADER.set(0)
            await self._let_go()

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._lease.release()
        except (PyMongoError, TimeoutError) as error:
            log.warning("relay.lease_left_to_expire", reason=type(error).__name__)

    async def _turn(self) -> float:
        """One look at the outbox; the pause before the next one, in seconds."""
        leader = await self._lease.acquire() is not None
        OUTBOX_LEADER.set(leader)
        self.last_progress = self._clock.now()
        if not leader:
            return self._retry
        moved, failed = await self.relay_batch()
        if failed:
            return self._retry
        return 0 if moved >= self._batch else self._poll

    async def relay_batch(self) -> tuple[int, int]:
        """Publish one batch: how many rows were moved, and how many Kafka did not take."""
        rows = await self._read()
        if not rows:
            OUTBOX_OLDEST.set(0)
            return 0, 0
        oldest = min(row["createdAt"] for row in rows)
        OUTBOX_OLDEST.set((self._clock.now() - oldest).total_seconds())
        answers = await self._publisher.publish(
            [(row["topic"], row["key"], bytes(row["value"])) for row in rows]
        )
        done, stuck = self._settle(rows, answers)
        if done:
            await self._rows.delete_many({"_id": {"$in": done}})
        return len(done), stuck

    async def _read(self) -> list[Document]:
        first = await self._rows.find({}, {"key": 1}).sort("_id", 1).limit(self._batch).to_list(None)
        keys = sorted({row["key"] for row in first})
        if not keys:
            return []
        # A prefix of each key's rows is in order, so the limit may cut anywhere; the rest comes next turn.
        rows = self._rows.find({"key": {"$in": keys}}).sort([("key", 1), ("sequence", 1), ("_id", 1)])
        return await rows.limit(self._batch * 2).to_list(None)

    @staticmethod
    def _settle(rows: list[Document], answers: list[BaseException | None]) -> tuple[list[str], int]:
        """Ids that may be deleted: acknowledged, with every earlier row of the key acknowledged too."""
        broken: set[str] = set()
        done: list[str] = []
        for row, error in zip(rows, answers, strict=True):
            if error is not None:
                broken.add(row["key"])
                log.warning("relay.not_acknowledged", type=row["type"], reason=type(error).__name__)
            if row["key"] not in broken:
                done.append(row["_id"])
                OUTBOX_PUBLISHED.labels(type=row["type"]).inc()
        return done, len(rows) - len(done)
