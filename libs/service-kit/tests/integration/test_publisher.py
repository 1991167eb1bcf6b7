"""The publisher on a real Kafka: failures stay where they are, refusals are told, nothing remains of producers."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import UnknownTopicOrPartitionError
from bson.binary import Binary
from contracts.ids import new_ulid
from service_kit.kafka.producer import BATCH_BYTES, KafkaPublisher, NotSent, RecordRefused
from service_kit.outbox.mongo_outbox import COLLECTION, MongoOutbox
from service_kit.outbox.refused import open_keys
from service_kit.outbox.relay import Relay
from service_kit.outbox.waiting_rows import MongoWaitingRows
from service_kit.testing.fakes import FixedClock
from service_kit.testing.reading import Reading, firsts
from service_kit.testing.relay_fakes import InMemoryLease

pytestmark = pytest.mark.integration
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
async def admin(kafka_bootstrap_servers: str) -> AsyncIterator[AIOKafkaAdminClient]:
    client = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap_servers)
    await client.start()
    yield client
    await client.close()


@pytest.fixture
async def topic(admin: AIOKafkaAdminClient) -> AsyncIterator[str]:
    """One partition, so that everything is in one lane; takes records up to 20 kB."""
    name = f"test-{secrets.token_hex(4)}"
    configs = {"max.message.bytes": "20000"}
    await admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1, topic_configs=configs)])
    yield name
    await admin.delete_topics([name])


@pytest.fixture
async def publisher(kafka_bootstrap_servers: str) -> AsyncIterator[KafkaPublisher]:
    one = KafkaPublisher(kafka_bootstrap_servers, client_id="test", timeout_ms=2_000)
    yield one
    await one.close()


async def test_many_batches_of_one_lane_arrive_in_order(
    publisher: KafkaPublisher, kafka_bootstrap_servers: str
):
    reading = await Reading(kafka_bootstrap_servers, "audience-events").begin()
    values = [f"{n:04d}".encode() * 2_000 for n in range(100)]
    assert len(b"".join(values)) > 2 * BATCH_BYTES
    assert await publisher.publish([("audience-events", "k", value) for value in values]) == [None] * 100
    assert (await reading.values())["k"] == values


async def test_after_a_refusal_nothing_of_the_lane_was_sent_and_the_next_calls_find_the_culprit(
    publisher: KafkaPublisher, kafka_bootstrap_servers: str, topic: str
):
    reading = await Reading(kafka_bootstrap_servers, topic).begin()
    records = [(topic, "a", b"1"), (topic, "a", b"x" * 30_000), (topic, "b", b"2")]
    first = await publisher.publish(records)
    assert None not in first  # refused together: nobody knows yet because of which
    assert not any(isinstance(answer, RecordRefused) for answer in first)
    second = await publisher.publish(records)
    assert [type(answer) for answer in second] == [type(None), RecordRefused, NotSent]
    assert await publisher.publish(records[2:]) == [None]
    assert await reading.values() == {"a": [b"1"], "b": [b"2"]}


async def test_a_topic_that_is_not_there_fails_its_own_records_only(publisher: KafkaPublisher, topic: str):
    answers = await publisher.publish([("no-such-topic", "a", b"1"), (topic, "a", b"2")])
    assert isinstance(answers[0], UnknownTopicOrPartitionError)
    assert answers[1] is None


async def test_nothing_is_sent_once_it_may_not_go_on(publisher: KafkaPublisher, topic: str):
    answers = await publisher.publish([(topic, "a", b"1")], lambda: False)
    assert [type(answer) for answer in answers] == [NotSent]


async def test_a_producer_that_was_given_up_leaves_no_task_and_sends_nothing_later(
    kafka_bootstrap_servers: str, topic: str, caplog: pytest.LogCaptureFixture
):
    """Guards the private parts of aiokafka that giving up uses: an idempotent batch never expires."""
    before = asyncio.all_tasks()
    reading = await Reading(kafka_bootstrap_servers, topic).begin()
    publisher = KafkaPublisher(kafka_bootstrap_servers, client_id="test", timeout_ms=500)
    assert await publisher.publish([(topic, "a", b"1")]) == [None]
    client: Any = publisher._producer.client  # type: ignore[union-attr]
    sender: Any = publisher._producer._sender.sender_task  # type: ignore[union-attr]
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # From now on its broker takes connections and answers nothing, as one that hangs does.
        address = {"host": "127.0.0.1", "port": silent.getsockname()[1]}
        real = dict(client.cluster._brokers)
        client.cluster._brokers = {number: broker._replace(**address) for number, broker in real.items()}
        for connection in list(client._conns.values()):
            connection.close()
        assert await publisher.publish([(topic, "a", b"2"), (topic, "b", b"3")]) != [None, None]
        await asyncio.wait({sender}, timeout=5)  # requests on the way may still arrive: not those after them
        client.cluster._brokers = real  # it is back, and the old producer could send what it holds
        left = asyncio.all_tasks() - before - {asyncio.current_task()}
        _, still = await asyncio.wait(left, timeout=5)
    assert still == set()
    assert await reading.values() == {"a": [b"1"]}
    assert await publisher.publish([(topic, "a", b"2")]) == [None]
    await publisher.close()
    assert [record for record in caplog.records if record.name == "asyncio"] == []


async def put(database: Any, topic: str, key: str, sequence: int, value: bytes) -> None:
    await database[COLLECTION].insert_one(
        {"_id": new_ulid(), "key": key, "sequence": sequence, "topic": topic, "type": "campaign.updated",
         "value": Binary(value), "createdAt": NOW}
    )  # fmt: skip


async def test_a_campaign_whose_event_is_too_large_waits_and_goes_on_in_order_once_the_topic_takes_it(
    mongo_database: Any, publisher: KafkaPublisher, admin: AIOKafkaAdminClient, topic: str,
    kafka_bootstrap_servers: str,
):  # fmt: skip
    reading = await Reading(kafka_bootstrap_servers, topic).begin()
    clock = FixedClock(NOW)
    await MongoOutbox(mongo_database, clock=clock).prepare()
    rows = MongoWaitingRows(mongo_database, clock=clock)
    relay = Relay(
        rows,
        publisher=publisher,
        lease=InMemoryLease(),
        clock=clock,
        batch=100,
        poll_seconds=0,
        retry_seconds=0,
    )
    large = b"x" * 30_000
    for sequence, value in enumerate((b"one", large, b"three"), 1):
        await put(mongo_database, topic, "poisoned", sequence, value)
        await put(mongo_database, topic, "healthy", sequence, value if value is not large else b"two")
    for _ in range(4):
        await relay.turn()
    seen = await reading.values()
    assert {key: firsts(values) for key, values in seen.items()} == {
        "poisoned": [b"one"], "healthy": [b"one", b"two", b"three"],
    }  # fmt: skip
    assert (await rows.backlog()).held == 2

    resource = ConfigResource(ConfigResourceType.TOPIC, topic, configs={"max.message.bytes": "100000"})
    await admin.alter_configs([resource])
    assert await open_keys(mongo_database, ["poisoned"]) == 1
    fresh = Relay(
        rows,
        publisher=publisher,
        lease=InMemoryLease(),
        clock=clock,
        batch=100,
        poll_seconds=0,
        retry_seconds=0,
    )
    await fresh.turn()
    assert firsts((await reading.values())["poisoned"]) == [b"one", large, b"three"]
    assert (await rows.backlog()).waiting == 0
