"""Puts parked messages back where they came from: `python -m service_kit.kafka.replay <service>`.

Each message returns to its own topic under its own key; consumers that already stored its effect
ignore it. The position in the dead letters is committed after the broker has it, so a crash repeats.
"""

import asyncio
import os
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from contracts.topics import SERVICES, dead_letter_topic


async def replay(bootstrap_servers: str, service: str) -> int:
    """Replay everything parked now for `service`; how many messages went back. Raises KafkaError."""
    consumer = AIOKafkaConsumer(
        dead_letter_topic(service).name,
        bootstrap_servers=bootstrap_servers,
        group_id=f"{service}.replay",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all")
    await producer.start()
    await consumer.start()
    moved = 0
    try:
        ends = await consumer.end_offsets(consumer.assignment() or await _assigned(consumer))
        while any([await consumer.position(part) < end for part, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    topic = dict(record.headers)["topic"].decode()
                    await producer.send_and_wait(topic, record.value, key=record.key)
                    moved += 1
            await consumer.commit()
    finally:
        await consumer.stop()
        await producer.stop()
    return moved


async def _assigned(consumer: AIOKafkaConsumer) -> "set[object]":
    while not consumer.assignment():
        await consumer.getmany(timeout_ms=100)
    return set(consumer.assignment())


def main() -> None:
    """`replay <service>`"""
    if len(sys.argv) != 2 or sys.argv[1] not in SERVICES:
        sys.exit(f"error: name a service: {', '.join(SERVICES)}")
    moved = asyncio.run(replay(os.environ["KAFKA_BOOTSTRAP_SERVERS"], sys.argv[1]))
    sys.stdout.write(f"{moved} messages put back\n")


if __name__ == "__main__":
    main()
