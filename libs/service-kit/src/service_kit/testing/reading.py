"""Reads what arrived in a Kafka topic, for tests."""

from collections.abc import Collection
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from service_kit.testing.waiting import eventually


class Reading:
    """All that came into `topic` since `begin`, per key, in the order of arrival."""

    def __init__(self, servers: str, topic: str) -> None:
        self._servers = servers
        self._topic = topic
        self._from: dict[TopicPartition, int] = {}

    async def begin(self) -> Self:
        """Ignore what is there already."""
        async with AIOKafkaConsumer(bootstrap_servers=self._servers) as consumer:
            self._from = await consumer.end_offsets(await self._partitions(consumer))
        return self

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        # An unsubscribed consumer knows no topics; its client can be asked for one.
        found = await consumer._client._wait_on_metadata(self._topic)
        return [TopicPartition(self._topic, number) for number in sorted(found)]

    async def until_read_by(self, groups: Collection[str], *, seconds: float) -> None:
        """Return once each consumer group has committed all that is in the topic now."""
        async with AIOKafkaConsumer(bootstrap_servers=self._servers) as consumer:
            ends = await consumer.end_offsets(await self._partitions(consumer))
        admin = AIOKafkaAdminClient(bootstrap_servers=self._servers)
        await admin.start()
        try:

            async def behind() -> int:
                committed = [await admin.list_consumer_group_offsets(group) for group in groups]
                return sum(
                    max(0, end - (offsets[part].offset if part in offsets else 0))
                    for offsets in committed
                    for part, end in ends.items()
                )

            await eventually(behind, lambda events: events == 0, seconds=seconds, every=0.5)
        finally:
            await admin.close()

    async def values(self) -> dict[str, list[bytes]]:
        """Key → values, up to now."""
        seen: dict[str, list[bytes]] = {}
        async with AIOKafkaConsumer(
            bootstrap_servers=self._servers, enable_auto_commit=False, max_partition_fetch_bytes=4_000_000
        ) as consumer:
            partitions = await self._partitions(consumer)
            consumer.assign(partitions)
            ends = await consumer.end_offsets(partitions)
            for partition in partitions:
                consumer.seek(partition, self._from.get(partition, 0))
            while any([await consumer.position(part) < end for part, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        seen.setdefault(record.key.decode(), []).append(record.value)
        return seen


def firsts(values: list[bytes]) -> list[bytes]:
    """`values` without those that were there before."""
    return list(dict.fromkeys(values))
