"""The log itself on real Kafka: bounds, and reading a range."""

from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from contracts.topics import DELIVERY_EVENTS, ENGAGEMENT_EVENTS
from stats_service.adapters.kafka_log import KafkaLog
from stats_service.application.ports import LogAway, Partition

pytestmark = pytest.mark.integration

PARTITION = Partition(DELIVERY_EVENTS.name, 11)


async def test_a_range_is_read_as_it_was_written(kafka_bootstrap_servers: str, events: Any) -> None:
    log = KafkaLog(kafka_bootstrap_servers, timeout_ms=5_000)
    before = (await log.bounds([DELIVERY_EVENTS.name]))[PARTITION]
    bodies = [events.window(number, campaign_id="camp_of_the_log_test") for number in range(20)]
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap_servers)
    await producer.start()
    try:
        for body in bodies:
            await producer.send_and_wait(PARTITION.topic, body, key=b"k", partition=PARTITION.number)
    finally:
        await producer.stop()
    bounds = await log.bounds([DELIVERY_EVENTS.name])
    assert len(bounds) == DELIVERY_EVENTS.partitions
    assert bounds[PARTITION].end == before.end + 20
    pieces = [piece async for piece in log.read(PARTITION, before.end + 3, before.end + 15)]
    found = [record for piece in pieces for record in piece]
    assert [record.value for record in found] == bodies[3:15]
    assert [record.offset for record in found] == list(range(before.end + 3, before.end + 15))


async def test_a_log_that_is_followed_has_one_topic_before_the_others_and_goes_on(
    kafka_bootstrap_servers: str, events: Any
) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap_servers)
    await producer.start()

    async def publish(topic: str, number: int) -> None:
        body = events.window(number, campaign_id="camp_of_the_tail_test")
        await producer.send_and_wait(topic, body, key=b"k", partition=3)

    log = KafkaLog(kafka_bootstrap_servers, timeout_ms=5_000)
    topics = DELIVERY_EVENTS.name, ENGAGEMENT_EVENTS.name
    try:
        for number in range(3):
            await publish(topics[0], number)
        await publish(topics[1], 0)
        async with log.follow(topics, first=topics[1]) as tail:
            seen = [partition.topic async for partition, _ in tail.rest()]
            assert set(seen) == set(topics)
            assert seen == sorted(seen, reverse=True)
            await publish(topics[1], 1)
            assert [partition.topic async for partition, _ in tail.rest()] == [topics[1]]
    finally:
        await producer.stop()


async def test_a_broker_that_is_not_there_is_said_to_be_away() -> None:
    log = KafkaLog("127.0.0.1:1", timeout_ms=300)
    with pytest.raises(LogAway):
        await log.bounds([DELIVERY_EVENTS.name])
