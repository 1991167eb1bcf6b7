"""Outbox → relay → Kafka → consumer loop → inbox, on real parts."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from contracts.envelope import AnyEvent, encode, new_event
from contracts.events.audience import AudienceEstimated
from contracts.topics import dead_letter_topic
from service_kit.errors import Poison
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.kafka.consumer import ConsumerLoop, RetryPolicy
from service_kit.kafka.dead_letter import DeadLetters
from service_kit.kafka.producer import KafkaPublisher
from service_kit.kafka.replay import replay
from service_kit.mongo.lease import MongoLease
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.outbox.relay import Relay
from service_kit.outbox.waiting_rows import MongoWaitingRows
from service_kit.ports import Tx
from service_kit.testing.fakes import FixedClock
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TOPIC = AudienceEstimated.topic.name


def event(subject: str, number: int, *, sequence: int | None = None, event_id: str | None = None) -> Any:
    data = AudienceEstimated(campaign_id=subject, total_count=number, estimated_at=NOW)
    return new_event(
        data, source="/t", subject=subject, org="acme", time=NOW, sequence=sequence, event_id=event_id
    )


class Projection:
    """Counts each event's effect, in one transaction with its inbox mark."""

    def __init__(self, client: Any, database: Any) -> None:
        self.transactions = MongoTransactions(client, timeout=10)
        self.inbox = MongoInbox(database, consumer="p", clock=FixedClock(NOW))
        self.rows = database["projection"]

    async def handle(self, event: AnyEvent) -> None:
        if event.data.total_count == 13:
            raise Poison("thirteen")

        async def work(tx: Tx) -> None:
            await self.inbox.mark(tx, event.id)
            await self.rows.update_one(
                {"_id": event.subject},
                {"$inc": {"effects": 1}, "$push": {"order": event.data.total_count}},
                upsert=True,
                session=session_of(tx),
            )

        await self.transactions.run(work)

    async def row(self, subject: str) -> dict[str, Any]:
        return await self.rows.find_one({"_id": subject}) or {"effects": 0, "order": []}


@asynccontextmanager
async def consuming(handle: Callable[[Any], Awaitable[None]], servers: str) -> AsyncIterator[ConsumerLoop]:
    loop = ConsumerLoop(
        {AudienceEstimated: handle},
        bootstrap_servers=servers,
        group=f"test-{secrets.token_hex(4)}",
        dead_letters=DeadLetters(servers, service="stats-service", timeout_ms=10_000),
        retry=RetryPolicy(first_seconds=0.05, most_seconds=0.5, max_attempts=3),
        timeout_ms=10_000,
    )
    task = asyncio.create_task(loop.run())
    try:
        yield loop
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def send(servers: str, *values: tuple[str, bytes]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=servers, acks="all")
    await producer.start()
    try:
        for key, value in values:
            await producer.send_and_wait(TOPIC, value, key=key.encode())
    finally:
        await producer.stop()


def relay_for(database: Any, servers: str, *, batch: int = 10) -> Relay:
    return Relay(
        MongoWaitingRows(database, clock=FixedClock(NOW)),
        publisher=KafkaPublisher(servers, client_id="test-relay", timeout_ms=5_000),
        lease=MongoLease(database, name="outbox-relay", owner="me", seconds=5, clock=FixedClock(NOW)),
        clock=FixedClock(NOW),
        batch=batch,
        poll_seconds=0.01,
        retry_seconds=0.05,
    )


async def test_an_event_published_twice_has_one_effect(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    subject = f"camp_{secrets.token_hex(4)}"
    projection = Projection(mongo_client, mongo_database)
    one, two = encode(event(subject, 1)), encode(event(subject, 2))
    await send(kafka_bootstrap_servers, *[(subject, raw) for raw in (one, one, two, one)])
    async with consuming(projection.handle, kafka_bootstrap_servers):
        await eventually(lambda: projection.row(subject), lambda row: row["effects"] == 2)
    assert (await projection.row(subject))["order"] == [1, 2]


async def test_broken_json_is_parked_an_unknown_field_is_not_and_the_partition_goes_on(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    subject = f"camp_{secrets.token_hex(4)}"
    projection = Projection(mongo_client, mongo_database)
    odd = json.loads(encode(event(subject, 1)))
    odd["later"] = odd["data"]["later"] = {"x": 1}
    broken = f"{{ broken {subject}".encode()
    values = [broken, json.dumps(odd).encode(), encode(event(subject, 2))]
    await send(kafka_bootstrap_servers, *[(subject, raw) for raw in values])
    async with consuming(projection.handle, kafka_bootstrap_servers):
        await eventually(lambda: projection.row(subject), lambda row: row["order"] == [1, 2])
    parked = await dead_letters_of(kafka_bootstrap_servers, broken)
    assert dict(parked.headers)["topic"].decode() == TOPIC
    assert b"MalformedEvent" in dict(parked.headers)["reason"]


async def dead_letters_of(servers: str, value: bytes) -> Any:
    consumer = AIOKafkaConsumer(
        dead_letter_topic("stats-service").name, bootstrap_servers=servers, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        async with asyncio.timeout(10):
            async for record in consumer:
                if record.value == value:
                    return record
    finally:
        await consumer.stop()


async def test_what_was_parked_comes_back_by_replay_and_has_its_effect_once(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    subject = f"camp_{secrets.token_hex(4)}"
    projection = Projection(mongo_client, mongo_database)
    unlucky = encode(event(subject, 13))
    await send(kafka_bootstrap_servers, (subject, unlucky))
    async with consuming(projection.handle, kafka_bootstrap_servers):
        await dead_letters_of(kafka_bootstrap_servers, unlucky)

    async def mended(event: AnyEvent) -> None:
        if event.subject == subject:
            await projection.rows.update_one({"_id": subject}, {"$inc": {"effects": 1}}, upsert=True)

    assert await replay(kafka_bootstrap_servers, "stats-service") >= 1
    assert await replay(kafka_bootstrap_servers, "stats-service") == 0
    async with consuming(mended, kafka_bootstrap_servers):
        # Once as it lay there, once replayed: this handler keeps no inbox, so it sees both.
        await eventually(lambda: projection.row(subject), lambda row: row["effects"] == 2)


async def test_the_relay_publishes_in_order_of_sequence_even_when_clocks_disagreed(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    subject = f"camp_{secrets.token_hex(4)}"
    outbox = MongoOutbox(mongo_database, clock=FixedClock(NOW))
    await outbox.prepare()
    transactions = MongoTransactions(mongo_client, timeout=10)
    for sequence in (3, 1, 2, 5, 4):
        await transactions.run(lambda tx, n=sequence: outbox.add(tx, event(subject, n, sequence=n)))
    relay = relay_for(mongo_database, kafka_bootstrap_servers, batch=2)
    while await mongo_database["outbox"].count_documents({}):
        await relay.turn()
    projection = Projection(mongo_client, mongo_database)
    async with consuming(projection.handle, kafka_bootstrap_servers):
        await eventually(lambda: projection.row(subject), lambda row: row["order"] == [1, 2, 3, 4, 5])


async def test_a_relay_that_dies_after_publishing_repeats_and_the_inbox_absorbs_it(
    mongo_client: Any, mongo_database: Any, kafka_bootstrap_servers: str
):
    subject = f"camp_{secrets.token_hex(4)}"
    outbox = MongoOutbox(mongo_database, clock=FixedClock(NOW))
    await outbox.prepare()
    transactions = MongoTransactions(mongo_client, timeout=10)
    await transactions.run(lambda tx: outbox.add(tx, *(event(subject, n, sequence=n) for n in (1, 2))))
    kept = await mongo_database["outbox"].find({}).to_list(None)
    relay = relay_for(mongo_database, kafka_bootstrap_servers)
    await relay.turn()
    assert await mongo_database["outbox"].count_documents({}) == 0
    await mongo_database["outbox"].insert_many(kept)  # as if it had died before the delete
    await relay.turn()
    projection = Projection(mongo_client, mongo_database)
    async with consuming(projection.handle, kafka_bootstrap_servers):
        await eventually(lambda: projection.row(subject), lambda row: row["effects"] == 2)
        await send(kafka_bootstrap_servers, (subject, encode(event(subject, 99))))
        await eventually(lambda: projection.row(subject), lambda row: row["order"] == [1, 2, 99])


async def test_rows_stay_in_the_outbox_while_kafka_is_away(mongo_client: Any, mongo_database: Any):
    outbox = MongoOutbox(mongo_database, clock=FixedClock(NOW))
    await outbox.prepare()
    await MongoTransactions(mongo_client, timeout=10).run(lambda tx: outbox.add(tx, event("camp_1", 1)))
    relay = relay_for(mongo_database, "127.0.0.1:9")
    await relay.turn()
    assert await mongo_database["outbox"].count_documents({}) == 1
