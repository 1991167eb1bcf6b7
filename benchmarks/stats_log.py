"""Into Kafka, and how far the aggregator has come with it: positions in the database, CPU of processes."""

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from contracts.envelope import Envelope, encode
from contracts.topics import CAMPAIGN_EVENTS, DELIVERY_EVENTS
from service_kit.mongo.client import Database

BARE = Path(__file__).parent / "bare_fold.py"
BARE_SECONDS = 300
Bounds = dict[str, tuple[int, int]]
"""`<topic>:<partition>` → first offset, and the one after the last."""


class Stuck(Exception):
    """Something did not come about in its time."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Between the first commit that was seen and the last: messages a second, CPU seconds by process."""

    messages: int
    seconds: float
    cpu: Mapping[str, float]

    @property
    def per_second(self) -> float:
        return self.messages / max(self.seconds, 1e-3)


class Topics:
    """The bench's end of Kafka."""

    def __init__(self, servers: str) -> None:
        self._servers = servers
        self._producer: AIOKafkaProducer | None = None

    async def put(self, events: Iterable[Envelope[Any]]) -> Bounds:
        """Send all of them, as the relay does; where they are. Nobody else sends meanwhile."""
        producer, before = await self._ready(), await self._ends()
        pending = None
        for count, event in enumerate(events, 1):
            topic = event.data.topic.name
            pending = await producer.send(topic, encode(event), key=event.subject.encode())
            if count % 500 == 0:
                await pending  # no more than that waits in memory
        await producer.flush()
        after = await self._ends()
        return {name: (before[name], end) for name, end in after.items() if end > before[name]}

    async def bare(self, bounds: Bounds) -> dict[str, Any]:
        """What a bare loop in a process of its own makes of the deliveries."""
        topic = DELIVERY_EVENTS.name
        mine = {name.rpartition(":")[2]: ends for name, ends in bounds.items() if name.startswith(topic)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(BARE), self._servers, topic, json.dumps(mine), stdout=asyncio.subprocess.PIPE
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), BARE_SECONDS)
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode:
            raise Stuck("the bare loop failed")
        found: dict[str, Any] = json.loads(output)
        return found

    async def close(self) -> None:
        """Let go of the broker."""
        if self._producer is not None:
            await self._producer.stop()

    async def _ready(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(bootstrap_servers=self._servers, max_batch_size=1_000_000)
            await self._producer.start()
        return self._producer

    async def _ends(self) -> dict[str, int]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self._servers)
        await consumer.start()
        try:
            parts = [
                TopicPartition(topic.name, number)
                for topic in (CAMPAIGN_EVENTS, DELIVERY_EVENTS)
                for number in range(topic.partitions)
            ]
            ends = await consumer.end_offsets(parts)
        finally:
            await consumer.stop()
        return {f"{part.topic}:{part.partition}": end for part, end in ends.items()}


async def followed(
    database: Database, bounds: Bounds, pids: Mapping[str, int], *, seconds: float, every: float = 0.05
) -> Pace:
    """Until everything in `bounds` is folded. Raises Stuck.

    Deliveries alone are paced; they begin to count when the first of them are in the numbers.
    """
    processes = {name: psutil.Process(pid) for name, pid in pids.items()}
    wanted = {name: ends for name, ends in bounds.items() if name.startswith(DELIVERY_EVENTS.name)}
    seen: list[tuple[float, int, dict[str, float]]] = []
    end = perf_counter() + seconds
    while perf_counter() < end:
        rows = await database["positions"].find({"_id": {"$in": list(bounds)}}).to_list(None)
        at = {row["_id"]: int(row["offset"]) + 1 for row in rows}
        done = sum(max(0, min(at.get(name, 0), last) - first) for name, (first, last) in wanted.items())
        if done and (not seen or done != seen[-1][1]):
            seen.append((perf_counter(), done, {name: cpu_of(one) for name, one in processes.items()}))
        if all(at.get(name, 0) >= last for name, (_, last) in bounds.items()):
            if not seen:
                return Pace(0, 0.0, {})
            (began, first_done, before), (ended, last_done, after) = seen[0], seen[-1]
            cpu = {name: after[name] - before[name] for name in processes}
            return Pace(last_done - first_done, ended - began, cpu)
        await asyncio.sleep(every)
    raise Stuck(f"not folded within {seconds:.0f} s: {bounds} but {at}")


def cpu_of(process: psutil.Process) -> float:
    """Seconds of CPU that it has used."""
    times = process.cpu_times()
    return float(times.user + times.system)
