"""The consumer loop: the one place that turns a handler's outcome into retry, dead letter or commit.

Mental model: partitions run side by side, the messages of one partition strictly one after another.
A handler either stores its effect together with its inbox mark, or raises. AlreadyHandled commits.
Retryable (and a database that is away) holds the partition and tries again: order matters more than
speed. Poison, and anything that nobody foresaw after `max_attempts`, goes to the dead letters, and
the partition goes on. Offsets are committed only after that, so a crash repeats, never skips.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from aiokafka.structs import ConsumerRecord
from contracts.catalogue import decode, event_type
from contracts.envelope import AnyEvent, ContractError, EventData, UnknownEventType

from service_kit.errors import AlreadyHandled, Poison, Retryable
from service_kit.kafka.dead_letter import DeadLetters
from service_kit.logging import get_logger
from service_kit.metrics import EVENT_AGE, EVENT_SECONDS, EVENTS_HANDLED
from service_kit.mongo.client import is_unavailable

log = get_logger()

Handler = Callable[[Any], Awaitable[None]]
"""Takes an Envelope of the subscribed type."""
Together = Callable[[Sequence[Any]], Awaitable[None]]
"""Takes Envelopes of subscribed types, in their order, and stores the effect of all of them or raises. It may
have stored that of some when it raises."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between attempts (doubling), and how many attempts an unforeseen error gets."""

    first_seconds: float
    most_seconds: float
    max_attempts: int


class ConsumerLoop:
    """Consumes the topics of `handlers` as `group` until cancelled."""

    def __init__(
        self,
        handlers: Mapping[type[EventData], Handler],
        *,
        bootstrap_servers: str,
        group: str,
        dead_letters: DeadLetters,
        retry: RetryPolicy,
        timeout_ms: int,
        together: Together | None = None,
    ) -> None:
        """`together`: tried first with what a partition has at a time, before one by one."""
        self._together = together
        self._handlers = {model.event_type: handler for model, handler in handlers.items()}
        self._topics = sorted({model.topic.name for model in handlers})
        self._bootstrap = bootstrap_servers
        self._group = group
        self._dead = dead_letters
        self._retry = retry
        self._timeout_ms = timeout_ms
        self.ready = asyncio.Event()
        """Set once partitions are assigned."""

    async def run(self) -> None:
        """Consume for ever; a broker that is away is waited for."""
        pause = self._retry.first_seconds
        while True:
            try:
                await self._consume()
            except (KafkaError, OSError) as error:
                log.warning("consumer.reconnecting", group=self._group, reason=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._retry.most_seconds)

    async def _consume(self) -> None:
        consumer = AIOKafkaConsumer(
            *self._topics,
            bootstrap_servers=self._bootstrap,
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            request_timeout_ms=self._timeout_ms,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
            max_poll_interval_ms=900_000,
            fetch_max_wait_ms=100,
            metadata_max_age_ms=30_000,
        )
        try:
            await consumer.start()
            while True:
                batches = await consumer.getmany(timeout_ms=500, max_records=500)
                if consumer.assignment():
                    self.ready.set()
                async with asyncio.TaskGroup() as group:
                    for partition, records in batches.items():
                        group.create_task(self._partition(consumer, partition, records))
        except* (KafkaError, OSError) as errors:
            raise KafkaError(str(errors.exceptions[0])) from errors
        finally:
            self.ready.clear()
            await _stop(consumer)

    async def _partition(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, records: Sequence[ConsumerRecord]
    ) -> None:
        if not await self.handle_together(records):
            for record in records:
                if partition not in consumer.assignment():
                    return  # lost in a rebalance: the new owner goes on from the last commit
                await self.handle(record)
        try:
            await consumer.commit({partition: records[-1].offset + 1})
        except (CommitFailedError, IllegalStateError):
            log.warning("consumer.commit_refused", topic=partition.topic, partition=partition.partition)

    async def handle_together(self, records: Sequence[ConsumerRecord]) -> bool:
        """Whether all of `records` have taken effect together. Else they must be handled one by one."""
        if self._together is None or len(records) == 1:
            return False
        started = perf_counter()
        try:
            read = [
                (decode(record.value), record)
                for record in records
                if event_type(record.value) in self._handlers
            ]
            if read:
                await self._together([event for event, _ in read])
        except Exception as error:  # which one is to blame, and what is to be done, shows one by one
            if not isinstance(error, AlreadyHandled):
                log.warning("events.one_by_one", count=len(records), reason=type(error).__name__)
            return False
        self._note_together(read, len(records) - len(read), perf_counter() - started)
        return True

    def _note_together(
        self, read: Sequence[tuple[AnyEvent, ConsumerRecord]], ignored: int, seconds: float
    ) -> None:
        """One line for all of them: it was one piece of work."""
        if ignored:
            EVENTS_HANDLED.labels(type="other", result="ignored").inc(ignored)
        if not read:
            return
        ages: dict[str, list[float]] = {}
        now = datetime.now(UTC)
        for event, _ in read:
            ages.setdefault(event.type, []).append(max(0.0, (now - event.time).total_seconds()))
        for name, found in ages.items():
            EVENTS_HANDLED.labels(type=name, result="handled").inc(len(found))
            each, age = EVENT_SECONDS.labels(type=name), EVENT_AGE.labels(type=name)
            for seen in found:
                each.observe(seconds / len(read))
                age.observe(seen)
        first, last = read[0][1], read[-1][1]
        log.info(
            "events.handled", count=len(read), types={name: len(found) for name, found in ages.items()},
            event_ids=[event.id for event, _ in read], seconds=round(seconds, 4), topic=first.topic,
            partition=first.partition, offset=first.offset, last_offset=last.offset,
        )  # fmt: skip

    async def handle(self, record: ConsumerRecord) -> None:
        """Bring one record to its end: handled, already handled, ignored or parked."""
        pause, attempt = self._retry.first_seconds, 0
        while True:
            try:
                await self._attempt(record)
                return
            except (Poison, ContractError) as error:
                await self._park(record, f"{type(error).__name__}: {error}")
                return
            except Exception as error:
                waitable = isinstance(error, (Retryable, TimeoutError, OSError)) or is_unavailable(error)
                attempt += not waitable
                log.warning(
                    "event.retry", topic=record.topic, offset=record.offset, attempt=attempt,
                    reason=f"{type(error).__name__}", exc_info=not waitable,
                )  # fmt: skip
                if attempt >= self._retry.max_attempts:
                    await self._park(record, f"{type(error).__name__}: {error}")
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._retry.most_seconds)

    async def _attempt(self, record: ConsumerRecord) -> None:
        name = event_type(record.value)
        handler = self._handlers.get(name)
        if handler is None:
            EVENTS_HANDLED.labels(type="other", result="ignored").inc()
            return
        try:
            event = decode(record.value)
        except UnknownEventType:
            EVENTS_HANDLED.labels(type="other", result="ignored").inc()
            return
        started = perf_counter()
        result = "handled"
        try:
            await handler(event)
        except AlreadyHandled:
            result = "duplicate"
        self._note(event, record, result, perf_counter() - started)

    def _note(self, event: AnyEvent, record: ConsumerRecord, result: str, seconds: float) -> None:
        EVENTS_HANDLED.labels(type=event.type, result=result).inc()
        EVENT_SECONDS.labels(type=event.type).observe(seconds)
        EVENT_AGE.labels(type=event.type).observe(max(0.0, (datetime.now(UTC) - event.time).total_seconds()))
        log.info(
            "event.handled", type=event.type, event_id=event.id, subject=event.subject, org=event.orgid,
            result=result, seconds=round(seconds, 4), topic=record.topic, partition=record.partition,
            offset=record.offset,
        )  # fmt: skip

    async def _park(self, record: ConsumerRecord, reason: str) -> None:
        """Park until Kafka has it: going on without would lose the message."""
        pause = self._retry.first_seconds
        while True:
            try:
                await self._dead.park(record, consumer=self._group, reason=reason)
                EVENTS_HANDLED.labels(type="other", result="parked").inc()
                log.error("event.parked", topic=record.topic, partition=record.partition,
                          offset=record.offset, reason=reason)  # fmt: skip
                return
            except (KafkaError, OSError) as error:
                log.warning("event.park_waiting", reason=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._retry.most_seconds)


async def _stop(consumer: AIOKafkaConsumer) -> None:
    try:
        async with asyncio.timeout(3):
            await consumer.stop()
    except (KafkaError, TimeoutError, OSError) as error:
        log.warning("consumer.stop_failed", reason=type(error).__name__)
