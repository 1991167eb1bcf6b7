"""Publishing to Kafka: acknowledged by all in-sync replicas, idempotent, in order per key.

An idempotent producer that met a fatal error answers nothing but errors from then on, so it is
thrown away and a new one is made on the next call. The rows are still in the outbox.
"""

import asyncio
from collections.abc import Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from service_kit.logging import get_logger

log = get_logger()

Record = tuple[str, str, bytes]
"""topic, key, value"""


class KafkaPublisher:
    """A producer that survives its own death. Not for concurrent use."""

    def __init__(self, bootstrap_servers: str, *, client_id: str, timeout_ms: int) -> None:
        self._bootstrap = bootstrap_servers
        self._client_id = client_id
        self._timeout_ms = timeout_ms
        self._producer: AIOKafkaProducer | None = None

    async def publish(self, records: Sequence[Record]) -> list[BaseException | None]:
        """Send `records` in this order; for each, None once acknowledged or the error."""
        try:
            # The producer's own timeout bounds a request; this bounds waiting for metadata too.
            async with asyncio.timeout(self._timeout_ms / 1000 * 2):
                producer = await self._ready()
                futures = [
                    await producer.send(topic, value, key=key.encode()) for topic, key, value in records
                ]
                answers = await asyncio.gather(*futures, return_exceptions=True)
        except (KafkaError, TimeoutError, OSError) as error:
            await self._discard()
            return [error] * len(records)
        failures = [answer if isinstance(answer, BaseException) else None for answer in answers]
        if any(failures):
            await self._discard()
        return failures

    async def close(self) -> None:
        """Stop; what was acknowledged stays."""
        await self._discard()

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                request_timeout_ms=self._timeout_ms,
                compression_type=None,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _discard(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(2):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("producer.discarded", reason=type(error).__name__)
