"""The topics themselves, read beside any consumer group: for bounds, and to close a gap."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from stats_service.application.ports import Bounds, LogAway, Partition, Record

PIECE = 1_000


class KafkaLog:
    """Each call has a consumer of its own: calls are rare, and none lingers that could be stuck."""

    def __init__(self, bootstrap_servers: str, *, timeout_ms: int) -> None:
        self._bootstrap = bootstrap_servers
        self._timeout_ms = timeout_ms

    async def bounds(self, topics: Collection[str]) -> Mapping[Partition, Bounds]:
        """Every partition of `topics`. Raises LogAway."""
        # Without a group, subscribing assigns every partition; "latest" so that nothing is fetched.
        async with self._consumer(*topics, auto_offset_reset="latest") as consumer:
            partitions = list(consumer.assignment())
            starts = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        return {Partition(tp.topic, tp.partition): Bounds(starts[tp], ends[tp]) for tp in partitions}

    async def read(self, partition: Partition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """What exists of [start, stop), in order, up to 1,000 records a piece. Raises LogAway."""
        tp = TopicPartition(partition.topic, partition.number)
        async with self._consumer(auto_offset_reset="earliest") as consumer:
            consumer.assign([tp])
            consumer.seek(tp, start)
            moved_at = monotonic()
            while (before := await consumer.position(tp)) < stop:
                found = (await consumer.getmany(tp, timeout_ms=200, max_records=PIECE)).get(tp, [])
                piece = [_record(item) for item in found if item.offset < stop]
                if piece:
                    yield piece
                if await consumer.position(tp) > before:
                    moved_at = monotonic()
                elif monotonic() - moved_at > self._timeout_ms / 1000:
                    raise LogAway("the log does not answer")

    @asynccontextmanager
    async def follow(self, topics: Collection[str], *, first: str) -> AsyncIterator["KafkaTail"]:
        """All of `topics` from their first offsets, as they grow; `first` before the others. Or LogAway."""
        async with self._consumer(*topics, auto_offset_reset="earliest") as consumer:
            partitions = list(consumer.assignment())
            await consumer.seek_to_beginning(*partitions)
            tail = KafkaTail(consumer, first=first, timeout_seconds=self._timeout_ms / 1000)
            await tail.look_where_it_is()
            yield tail

    @asynccontextmanager
    async def _consumer(self, *topics: str, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            *topics,
            bootstrap_servers=self._bootstrap,
            group_id=None,
            enable_auto_commit=False,
            request_timeout_ms=self._timeout_ms,
            fetch_max_wait_ms=100,
            **options,
        )
        try:
            await consumer.start()
            yield consumer
        except (KafkaError, OSError) as error:
            raise LogAway(type(error).__name__) from error
        finally:
            await consumer.stop()


class KafkaTail:
    """A log that is followed: `rest` goes on where the last one ended; the topic `first` is read first."""

    def __init__(self, consumer: AIOKafkaConsumer, *, first: str, timeout_seconds: float) -> None:
        self._consumer = consumer
        self._first = first
        self._timeout_seconds = timeout_seconds
        self.at: Mapping[Partition, int] = {}

    async def look_where_it_is(self) -> None:
        """Note the offset that is read next, of each partition."""
        assigned = self._consumer.assignment()
        self.at = {Partition(tp.topic, tp.partition): await self._consumer.position(tp) for tp in assigned}

    async def rest(self) -> AsyncIterator[tuple[Partition, Sequence[Record]]]:
        """What there is up to the ends as they are now, in pieces. Raises LogAway."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        for is_first in (True, False):
            those = {tp: end for tp, end in ends.items() if (tp.topic == self._first) == is_first}
            async for piece in self._up_to(those):
                yield piece

    async def _up_to(
        self, ends: Mapping[TopicPartition, int]
    ) -> AsyncIterator[tuple[Partition, Sequence[Record]]]:
        moved_at = monotonic()
        while any(self.at[Partition(tp.topic, tp.partition)] < end for tp, end in ends.items()):
            found = await self._consumer.getmany(*ends, timeout_ms=200, max_records=PIECE)
            for tp, items in found.items():
                yield Partition(tp.topic, tp.partition), [_record(item) for item in items]
            before = self.at
            await self.look_where_it_is()
            if self.at != before:
                moved_at = monotonic()
            elif monotonic() - moved_at > self._timeout_seconds:
                raise LogAway("the log does not answer")


def _record(item: Any) -> Record:
    return Record(item.topic, item.partition, item.offset, item.key, item.value, item.timestamp)
