"""From messages to numbers: the place where failures become waiting, parking, or reading the log.

Mental model: the position is the truth. Messages at or before it are done; if the next message is further
on than the position's successor, what lies between is read from the log first. Nothing is given up while
a dependency is away: the same messages wait. A message that cannot be read, or that alone cannot be
stored after some attempts, is parked in the dead letters and the partition goes on. A partition that fails
again and again while others may go on is left to itself: it is tried on in the background, and what comes for
it meanwhile stays in the log. Dying anywhere repeats, and repeating changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import Protocol

from service_kit.clock import Clock
from service_kit.kafka.consumer import RetryPolicy
from service_kit.logging import get_logger

from stats_service.application.fold_batch import Batch, Folded, ForeignFacts
from stats_service.application.ports import Log, Partition, Positions, Record
from stats_service.entrypoints.patience import Patience, Progress, is_waitable
from stats_service.entrypoints.reading import batches_of, read, recorded, runs
from stats_service.metrics import DROPPED, FACTS, FOLD_SECONDS, FRESHNESS, GAPS, LOST

log = get_logger()


MOST_AT_ONCE = 5_000
"""Records in a transaction."""


class Park(Protocol):
    """Parks a record for good."""

    def __call__(self, record: Record, reason: str) -> Awaitable[None]:
        """Returns once it is stored. Raises KafkaError."""
        ...


def _is_out_of_time(error: BaseException) -> bool:
    """Whether a transaction took longer than one may; the driver's own errors say so of themselves."""
    return isinstance(error, TimeoutError) or bool(getattr(error, "timeout", False))


class Aggregator:
    """Folds records of any partition, one batch at a time. Safe to call concurrently."""

    def __init__(
        self,
        fold: Callable[[Sequence[Batch]], Awaitable[Folded]],
        *,
        positions: Positions,
        topics_log: Log,
        park: Park,
        clock: Clock,
        retry: RetryPolicy,
        progress: Progress,
    ) -> None:
        self._fold = fold
        self._positions = positions
        self._log = topics_log
        self._park = park
        self._clock = clock
        self._retry = retry
        self._patience = Patience(retry, progress)
        self._most: dict[Partition | None, int] = {}
        self._parked: set[tuple[str, int, int]] = set()

    async def between_batches(self, work: Callable[[], Awaitable[int]]) -> int:
        """Do `work` while nothing is folded here: what writes the same rows would only make both repeat."""
        async with self._patience.turn():
            return await work()

    async def take_all(self, groups: Mapping[Partition, Sequence[Record]]) -> None:
        """Bring the records of several partitions to their ends: at once if nothing is odd about them.

        A partition that fails again and again, or is left to itself already, is not waited for.
        """
        left = self._patience.left()
        prompt = {partition: records for partition, records in groups.items() if partition not in left}
        if not prompt:
            await self._patience.wait_for_one()
        elif not await self._together(prompt):
            for partition, records in prompt.items():
                await self._patience.or_leave(partition, partial(self._take, partition, records))

    async def _together(self, groups: Mapping[Partition, Sequence[Record]]) -> bool:
        """Fold all of `groups` in one transaction; whether that went well. Else nothing has happened."""
        number = sum(map(len, groups.values()))
        async with self._patience.turn():
            started = perf_counter()
            batches = batches_of(groups) if number <= self._most.get(None, MOST_AT_ONCE) else None
            if batches is None:
                return False
            try:
                folded = await self._fold(batches)
            except Exception as error:
                log.info("batch.each_alone", partitions=len(batches), reason=type(error).__name__)
                self._was_it_too_much(None, number, error)
                return False
            self._it_was_not_too_much(None)
            self._told(batches, folded, perf_counter() - started)
            return True

    async def take(self, partition: Partition, records: Sequence[Record]) -> None:
        """Bring `records` (ascending offsets) to their end, however long that takes."""
        await self._patience.through(partition, partial(self._take, partition, records))

    async def fill(self, partition: Partition, stop: int) -> bool:
        """Bring what the log has from the position up to `stop` to its end; False: that is left for later."""
        if partition in self._patience.left():
            return False
        return await self._patience.or_leave(partition, partial(self._bridge, partition, stop))

    async def close(self) -> None:
        """Give up what is left to itself: it is in the log."""
        await self._patience.close()

    async def _take(self, partition: Partition, records: Sequence[Record]) -> None:
        for run in runs(records):
            position = await self._bridge(partition, run[0].offset)
            fresh = [record for record in run if record.offset > position]
            FACTS.labels(result="duplicate").inc(len(run) - len(fresh))
            if fresh:
                await self._store(partition, fresh, first=fresh[0].offset)

    async def _bridge(self, partition: Partition, stop: int) -> int:
        """Fold from the position up to `stop`, from the log; the position from which to go on."""
        position = await self._positions.read(partition)
        start = position + 1
        if start >= stop:
            return position
        GAPS.inc()
        log.warning("gap.closing", topic=partition.topic, partition=partition.number, start=start, stop=stop)
        async for piece in self._log.read(partition, start, stop):
            self._note_lost(partition, piece[-1].offset + 1 - start - len(piece))
            await self._store(partition, piece, first=start)
            start = piece[-1].offset + 1
        if start < stop:
            self._note_lost(partition, stop - start)
            await self._fold([Batch(partition, start, stop - 1, ())])
        return stop - 1

    @staticmethod
    def _note_lost(partition: Partition, offsets: int) -> None:
        """Retention has taken them before they were folded (or they never were messages)."""
        if offsets:
            LOST.inc(offsets)
            log.error("events.not_in_log", topic=partition.topic, partition=partition.number, offsets=offsets)

    async def _store(self, partition: Partition, records: Sequence[Record], *, first: int) -> None:
        """Fold `records`, as many at once as there was time for lately.

        What is too much for one transaction is too much the next time, too: halved until it fits.
        """
        at = 0
        while at < len(records):
            some = records[at : at + self._most.get(partition, MOST_AT_ONCE)]
            try:
                await self._store_at_once(partition, some, first=first)
            except Exception as error:
                self._was_it_too_much(partition, len(some), error)
                raise
            self._it_was_not_too_much(partition)
            at += len(some)
            first = some[-1].offset + 1

    def _was_it_too_much(self, partition: Partition | None, records: int, error: Exception) -> None:
        if _is_out_of_time(error):
            self._most[partition] = max(1, records // 2)

    def _it_was_not_too_much(self, partition: Partition | None) -> None:
        most = self._most.get(partition, MOST_AT_ONCE)
        self._most[partition] = min(most + most // 8 + 1, MOST_AT_ONCE)

    async def _store_at_once(self, partition: Partition, records: Sequence[Record], *, first: int) -> None:
        facts, refused = read(records)
        for record, kind, reason in refused:
            await self._give_up(record, kind, reason)
        batch = Batch(partition, first, records[-1].offset, facts)
        await self._settle(batch, {record.offset: record for record in records})
        if self._parked:
            self._parked -= {(record.topic, record.partition, record.offset) for record in records}

    async def _settle(self, batch: Batch, records: dict[int, Record]) -> None:
        """Fold `batch`; park foreign facts, and find the fact that cannot be stored, if there is one."""
        error = await self._attempt(batch)
        if error is None:
            return
        if isinstance(error, ForeignFacts):
            for offset in error.offsets:
                await self._give_up(records[offset], "foreign", "foreign")
            await self._settle(batch.without(error.offsets), records)
            return
        if not batch.facts:
            raise error
        if len(batch.facts) == 1:
            await self._give_up(records[batch.facts[0][0]], "failed", type(error).__name__)
            await self._settle(Batch(batch.partition, batch.first, batch.last, ()), records)
            return
        half = len(batch.facts) // 2
        cut = batch.facts[half][0]
        await self._settle(Batch(batch.partition, batch.first, cut - 1, batch.facts[:half]), records)
        await self._settle(Batch(batch.partition, cut, batch.last, batch.facts[half:]), records)

    async def _attempt(self, batch: Batch) -> Exception | None:
        """Fold `batch`; what nobody foresaw comes back after some attempts. Raises what can be waited for."""
        started = perf_counter()
        for attempt in range(1, self._retry.max_attempts + 1):
            try:
                folded = await self._fold([batch])
            except ForeignFacts as error:
                return error
            except Exception as error:
                if is_waitable(error):
                    raise
                last = error
                log.warning("batch.failed", attempt=attempt, facts=len(batch.facts), exc_info=True)
                await asyncio.sleep(self._retry.first_seconds)
            else:
                self._told([batch], folded, perf_counter() - started)
                return None
        return last

    def _told(self, batches: Sequence[Batch], folded: Folded, seconds: float) -> None:
        FACTS.labels(result="counted").inc(folded.counted)
        FACTS.labels(result="duplicate").inc(folded.duplicates)
        DROPPED.labels(reason="excess").inc(folded.dropped)
        if times := recorded(batches):
            FRESHNESS.observe(max((self._clock.now() - min(times)).total_seconds(), 0))
        FOLD_SECONDS.observe(seconds)
        log.info(
            "batch.folded", parts=[[*batch.partition, batch.first, batch.last] for batch in batches],
            counted=folded.counted, duplicates=folded.duplicates, seconds=round(seconds, 4),
        )  # fmt: skip

    async def _give_up(self, record: Record, kind: str, reason: str) -> None:
        """Park `record`; once, though what comes after it may have to be repeated."""
        name = (record.topic, record.partition, record.offset)
        if name in self._parked:
            return
        await self._park(record, reason)
        self._parked.add(name)
        FACTS.labels(result="parked").inc()
        DROPPED.labels(reason=kind).inc()
        log.error("event.parked", topic=record.topic, partition=record.partition, offset=record.offset,
                  reason=reason)  # fmt: skip
