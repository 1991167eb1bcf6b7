"""Creates the declared topics. Run by the deploy step: `python -m service_kit.kafka.create_topics`."""

import asyncio
import os
import sys

import stamina
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from contracts.topics import ALL_TOPICS

START_SECONDS = 60
"""How long a broker that is starting may refuse: it listens before it knows its controller."""


async def create_topics(bootstrap_servers: str, *, replication_factor: int) -> list[str]:
    """Create what is missing; the names created. Raises KafkaError."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=10_000)
    await admin.start()
    try:
        there = set(await admin.list_topics())
        missing = [
            NewTopic(
                name=topic.name,
                num_partitions=topic.partitions,
                replication_factor=replication_factor,
                topic_configs={"retention.ms": str(topic.retention_ms)},
            )
            for topic in ALL_TOPICS
            if topic.name not in there
        ]
        if missing:
            answer = await admin.create_topics(missing)
            for name, code, *_ in answer.topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(name)
        return [topic.name for topic in missing]
    finally:
        await admin.close()


async def create_topics_patiently(bootstrap_servers: str, *, replication_factor: int) -> list[str]:
    """The same for a broker that is starting. Raises KafkaError when it still refuses after START_SECONDS."""
    created: list[str] = []
    async for attempt in stamina.retry_context(
        on=(KafkaError, OSError), attempts=None, timeout=START_SECONDS, wait_initial=0.2, wait_max=2
    ):
        with attempt:
            created = await create_topics(bootstrap_servers, replication_factor=replication_factor)
    return created


def main() -> None:
    """Exit 0 when all topics exist, 1 when Kafka still refuses after a minute."""
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    factor = int(os.environ.get("KAFKA_REPLICATION_FACTOR", "1"))
    try:
        created = asyncio.run(create_topics_patiently(servers, replication_factor=factor))
    except (KafkaError, OSError) as error:
        sys.exit(f"error: topics could not be created on {servers}: {error!r}")
    sys.stdout.write(f"topics: {len(created)} created, {len(ALL_TOPICS) - len(created)} already there\n")


if __name__ == "__main__":
    main()
