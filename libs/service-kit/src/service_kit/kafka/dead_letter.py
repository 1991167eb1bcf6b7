"""Where messages go that cannot be handled: the service's dead-letter topic, byte for byte.

The headers say where it came from and why, so that `make replay` can put it back:
topic, partition, offset, consumer, reason.
"""

from typing import Protocol

from aiokafka import AIOKafkaProducer
from contracts.topics import dead_letter_topic


class Parkable(Protocol):
    """A record as Kafka gave it: aiokafka's ConsumerRecord, or a reader's own type."""

    @property
    def topic(self) -> str:
        """Where it came from."""
        ...

    @property
    def partition(self) -> int:
        """Which partition of it."""
        ...

    @property
    def offset(self) -> int:
        """Its place there."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key, as it was."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its body, as it was."""
        ...


class DeadLetters:
    """Parks records of one service."""

    def __init__(self, bootstrap_servers: str, *, service: str, timeout_ms: int) -> None:
        self._topic = dead_letter_topic(service).name
        self._bootstrap = bootstrap_servers
        self._service = service
        self._timeout_ms = timeout_ms

    async def park(self, record: Parkable, *, consumer: str, reason: str) -> None:
        """Store `record`; returns once Kafka has acknowledged it. Raises KafkaError.

        Rare, so each call has a producer of its own: none lingers that could be wedged.
        """
        producer = AIOKafkaProducer(
            bootstrap_servers=self._bootstrap, acks="all", request_timeout_ms=self._timeout_ms
        )
        await producer.start()
        try:
            await producer.send_and_wait(
                self._topic,
                record.value,
                key=record.key,
                headers=[
                    ("topic", record.topic.encode()),
                    ("partition", str(record.partition).encode()),
                    ("offset", str(record.offset).encode()),
                    ("consumer", consumer.encode()),
                    ("reason", reason[:1000].encode()),
                ],
            )
        finally:
            await producer.stop()
