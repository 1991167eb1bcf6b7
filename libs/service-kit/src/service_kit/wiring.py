"""The parts that every service's bootstrap puts together the same way.

What reaches for Kafka's driver is imported where it is made: half of all processes never do.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pymongo
from contracts.envelope import EventData
from pymongo.errors import PyMongoError

from service_kit.clock import Clock, SystemClock
from service_kit.crypto import SecretBox
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.mongo.client import connect
from service_kit.mongo.lease import MongoLease
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.process import owner_name
from service_kit.settings import ServiceSettings

if TYPE_CHECKING:
    from service_kit.kafka.consumer import ConsumerLoop, Handler, Together
    from service_kit.kafka.dead_letter import DeadLetters
    from service_kit.kafka.producer import KafkaPublisher
    from service_kit.outbox.relay import Relay

READY_SECONDS = 0.8
"""Less than the second that a Kubernetes probe waits by default."""


class ServiceWiring:
    """Clients and kit parts of one process of `service` (such as `campaign-service`).

    The database has the service's name.
    Nothing connects before it is used. Make it inside the event loop.
    """

    def __init__(self, settings: ServiceSettings, *, service: str, clock: Clock | None = None) -> None:
        self.settings = settings
        self.service = service
        self.clock: Clock = clock or SystemClock()
        self.client = connect(settings.mongo_url.get_secret_value(), timeout_ms=settings.mongo_timeout_ms)
        self.database = self.client[service]
        self.transactions = MongoTransactions(self.client, timeout=settings.mongo_timeout_ms / 1000)
        self.outbox = MongoOutbox(self.database, clock=self.clock)
        self._publisher: KafkaPublisher | None = None

    async def database_answers(self) -> bool:
        """Readiness: a ping comes back at once. False also when all of the driver's threads are taken."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                with pymongo.timeout(READY_SECONDS):
                    await self.client.admin.command("ping")
        except (PyMongoError, TimeoutError):
            return False
        return True

    async def inbox(self, consumer: str) -> MongoInbox:
        """The inbox of `consumer`, its index made."""
        inbox = MongoInbox(self.database, consumer=consumer, clock=self.clock)
        await inbox.prepare(retention_days=self.settings.inbox_retention_days)
        return inbox

    async def idempotency(self) -> Idempotency:
        """What routes with an Idempotency-Key work with, the index made."""
        keys = self.idempotency_keys()
        await keys.prepare()
        return Idempotency(keys, self.transactions, self.settings.idempotency_wait_seconds)

    def idempotency_keys(self, *, box: SecretBox | None = None) -> MongoIdempotencyKeys:
        """The service's keys; `prepare` makes their index. `box` seals the answers that are kept."""
        settings = self.settings
        return MongoIdempotencyKeys(
            self.database,
            clock=self.clock,
            lock_seconds=settings.idempotency_lock_seconds,
            keep_seconds=settings.idempotency_hours * 3600,
            wait_seconds=settings.idempotency_wait_seconds,
            box=box,
        )

    async def relay(self, process: str) -> "Relay":
        """The outbox relay, leader among its replicas by lease."""
        from service_kit.kafka.producer import KafkaPublisher  # noqa: PLC0415 - only relays publish
        from service_kit.outbox.relay import Relay  # noqa: PLC0415
        from service_kit.outbox.waiting_rows import MongoWaitingRows  # noqa: PLC0415

        await self.outbox.prepare()
        settings = self.settings
        self._publisher = KafkaPublisher(
            settings.kafka_bootstrap_servers, client_id=process, timeout_ms=settings.kafka_request_timeout_ms
        )
        return Relay(
            MongoWaitingRows(self.database, clock=self.clock),
            publisher=self._publisher,
            lease=MongoLease(
                self.database,
                name="outbox-relay",
                owner=owner_name(process),
                seconds=settings.lease_seconds,
                clock=self.clock,
            ),
            clock=self.clock,
            batch=settings.relay_batch,
            poll_seconds=settings.relay_poll_seconds,
            retry_seconds=settings.consumer_retry_seconds,
        )

    def dead_letters(self) -> "DeadLetters":
        """The service's dead letters."""
        from service_kit.kafka.dead_letter import DeadLetters  # noqa: PLC0415 - only consumers park

        return DeadLetters(
            self.settings.kafka_bootstrap_servers,
            service=self.service,
            timeout_ms=self.settings.kafka_request_timeout_ms,
        )

    def consumer(
        self,
        handlers: "Mapping[type[EventData], Handler]",
        *,
        group: str,
        together: "Together | None" = None,
    ) -> "ConsumerLoop":
        """A consumer loop over `handlers`; `group` is its Kafka consumer group."""
        from service_kit.kafka.consumer import ConsumerLoop, RetryPolicy  # noqa: PLC0415 - only consumers

        settings = self.settings
        return ConsumerLoop(
            handlers,
            bootstrap_servers=settings.kafka_bootstrap_servers,
            group=group,
            dead_letters=self.dead_letters(),
            retry=RetryPolicy(
                first_seconds=settings.consumer_retry_seconds,
                most_seconds=settings.consumer_retry_max_seconds,
                max_attempts=settings.consumer_max_attempts,
            ),
            timeout_ms=settings.kafka_request_timeout_ms,
            together=together,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        if self._publisher is not None:
            await self._publisher.close()
        self.client.close()
