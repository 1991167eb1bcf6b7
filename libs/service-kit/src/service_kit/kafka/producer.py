"""Publishing to Kafka: acknowledged by all in-sync replicas, in order per partition whatever fails.

Mental model: a partition is a lane. A lane has one batch on the way, and the next one leaves only when
that one was acknowledged; the first failure closes the lane. Kafka stores a batch whole or not at all.
So what arrived of a lane is always a prefix of what was given, even when an answer was lost, and even
when a broker that hung handles a forgotten request much later: that repeats a prefix, it cannot reorder.

Lanes do not hold each other up: a partition without a leader costs its own records only.

An idempotent producer that met an error answers nothing but errors from then on, and otherwise repeats
a batch for ever; so it is thrown away, with all it still holds, and the next call makes a new one.
"""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidMessageError,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)
from aiokafka.partitioner import DefaultPartitioner

from service_kit.logging import get_logger

log = get_logger()

Record = tuple[str, str, bytes]
"""topic, key, value"""
Lane = tuple[str, int]
"""topic, partition"""

BATCH_BYTES = 256 * 1024
"""Well under every broker's limit (1 MiB by default). A record larger than this is a batch of its own."""
REFUSALS = (
    InvalidMessageError,
    InvalidTimestampError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    RecordListTooLargeError,
    UnsupportedForMessageFormatError,
)
"""The broker has looked at the record and does not want it: sending it again changes nothing."""


class RecordRefused(Exception):
    """Kafka refuses this very record, today and tomorrow."""


class NotSent(Exception):
    """The record was not sent, or its answer was not waited for."""


@dataclass
class _Call:
    """One call of `publish`."""

    records: Sequence[Record]
    may_go_on: Callable[[], bool]
    answers: list[BaseException | None] = field(init=False)

    def __post_init__(self) -> None:
        self.answers = [NotSent() for _ in self.records]


class KafkaPublisher:
    """A producer that survives its own death. Not for concurrent use."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, timeout_ms: int) -> None:
        self._bootstrap = bootstrap_servers
        self._client_id = client_id
        self._timeout_ms = timeout_ms
        self._producer: AIOKafkaProducer | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self._one_by_one: set[Lane] = set()
        self._partition_of = DefaultPartitioner()

    async def publish(
        self, records: Sequence[Record], may_go_on: Callable[[], bool] = lambda: True
    ) -> list[BaseException | None]:
        """Send `records`, in this order per partition; for each, None once acknowledged or why not.

        RecordRefused: Kafka will never take it. Behind a record that failed, none of its partition was sent.
        `may_go_on` is asked before each batch; when it says no, what is on the way is still waited for.
        """
        call = _Call(records, may_go_on)
        # The producer's own timeout bounds a request; this bounds finding the brokers, and the sum.
        deadline = asyncio.get_running_loop().time() + self._timeout_ms / 1000 * 2
        try:
            async with asyncio.timeout_at(deadline):
                producer = await self._ready()
        except (KafkaError, TimeoutError, OSError) as error:
            return [error] * len(records)
        try:
            await self._run(producer, call, deadline)
        finally:
            if any(call.answers):
                self._discard()
        return call.answers

    async def _run(self, producer: AIOKafkaProducer, call: _Call, deadline: float) -> None:
        """Every topic by itself until `deadline`: what one waits for costs the others nothing."""
        topics: dict[str, list[int]] = defaultdict(list)
        for number, (topic, _, _) in enumerate(call.records):
            topics[topic].append(number)
        try:
            async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as group:
                for topic, numbers in topics.items():
                    group.create_task(self._topic(producer, call, topic, numbers))
        except TimeoutError:
            log.warning("producer.no_answer", seconds=self._timeout_ms / 1000 * 2)

    async def _topic(self, producer: AIOKafkaProducer, call: _Call, topic: str, numbers: list[int]) -> None:
        try:
            partitions = sorted(await producer.partitions_for(topic))
        except KafkaError as error:  # a topic that is not there, or not ours
            for number in numbers:
                call.answers[number] = error
            return
        lanes: dict[int, deque[int]] = defaultdict(deque)
        for number in numbers:
            key = call.records[number][1].encode()
            lanes[self._partition_of(key, partitions, partitions)].append(number)
        async with asyncio.TaskGroup() as group:
            for partition, waiting in lanes.items():
                group.create_task(self._lane(producer, call, (topic, partition), waiting))

    async def _lane(self, producer: AIOKafkaProducer, call: _Call, lane: Lane, waiting: deque[int]) -> None:
        """One batch after the other; ends at the first that is not acknowledged."""
        one_by_one = lane in self._one_by_one
        while waiting and call.may_go_on():
            batch = producer.create_batch()
            sent = self._fill(batch, call, waiting, most=1 if one_by_one else None)
            error = await self._acknowledged(producer, batch, lane)
            if isinstance(error, REFUSALS):
                # Of several, nobody knows which one: next time each goes alone.
                self._one_by_one.add(lane)
                error = RecordRefused(type(error).__name__) if len(sent) == 1 else error
            for number in sent:
                call.answers[number] = error
            if error is not None:
                return
        if not waiting:
            self._one_by_one.discard(lane)

    async def _acknowledged(
        self, producer: AIOKafkaProducer, batch: object, lane: Lane
    ) -> BaseException | None:
        try:
            await (await self._hand_over(producer, batch, lane))
        except (KafkaError, OSError) as error:
            return error
        return None

    async def _hand_over(
        self, producer: AIOKafkaProducer, batch: object, lane: Lane
    ) -> asyncio.Future[object]:
        """From here on the batch may arrive; the future tells that it has."""
        topic, partition = lane
        future: asyncio.Future[object] = await producer.send_batch(batch, topic, partition=partition)
        return future

    @staticmethod
    def _fill(batch: object, call: _Call, waiting: deque[int], *, most: int | None) -> list[int]:
        sent: list[int] = []
        while waiting and len(sent) != most:
            _, key, value = call.records[waiting[0]]
            if batch.append(key=key.encode(), value=value, timestamp=None) is None:  # type: ignore[attr-defined]
                break  # full; an empty one takes any record, however large
            sent.append(waiting.popleft())
        return sent

    async def close(self) -> None:
        """Stop; what was acknowledged stays."""
        self._discard()
        if self._ending:
            await asyncio.wait(self._ending, timeout=2)

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=BATCH_BYTES,
                request_timeout_ms=self._timeout_ms,
                compression_type=None,
            )
            try:
                await producer.start()
            except BaseException:
                self._end(producer)
                raise
            self._producer = producer
        return self._producer

    def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            self._end(producer)

    def _end(self, producer: AIOKafkaProducer) -> None:
        """Close it beside the work: a broker that hangs would hold us up for a request's whole timeout."""
        task = asyncio.create_task(_close(producer), name="producer-close")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)


async def _close(producer: AIOKafkaProducer) -> None:
    # aiokafka's stop() sends everything first, and an idempotent batch never expires: while Kafka is away
    # each producer that we gave up would stay and try for ever, then send what others have sent long ago.
    # There is no public way to drop what it holds. Cancelled, the sender ends with the requests on the way.
    sender = producer._sender.sender_task
    if sender is not None:
        sender.cancel()
        await asyncio.wait({sender})
        producer._message_accumulator._batches.clear()
    try:
        await producer.stop()
    except (KafkaError, OSError) as error:
        log.warning("producer.discarded", reason=type(error).__name__)
