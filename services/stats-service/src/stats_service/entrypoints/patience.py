"""Waiting for what may succeed later, and for how long others wait for it, too.

Mental model: one piece of work at a time has its turn. What fails is tried again for ever, but its turn ends
with each try. Whoever brought it waits until it is done, or has failed so often that the others should go on;
then it is left to itself, and tried in the background.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from time import monotonic

from aiokafka.errors import KafkaError
from service_kit.errors import Retryable
from service_kit.kafka.consumer import RetryPolicy
from service_kit.logging import get_logger
from service_kit.mongo.client import is_unavailable

from stats_service.application.ports import Partition

log = get_logger()

Work = Callable[[], Awaitable[object]]
ROUNDS = 2
"""So many times the usual attempts keep others waiting: a large batch needs some to find its size."""


class Progress:
    """When something was done last."""

    def __init__(self) -> None:
        self._at = monotonic()

    def beat(self) -> None:
        """Something was done."""
        self._at = monotonic()

    def within(self, seconds: float) -> bool:
        """Whether something was done in the last `seconds`."""
        return monotonic() - self._at < seconds


def is_waitable(error: BaseException) -> bool:
    """Whether the same work may succeed later, without anybody mending the message."""
    return isinstance(error, (Retryable, TimeoutError, OSError, KafkaError)) or is_unavailable(error)


class Patience:
    """Of one process. Safe to use concurrently."""

    def __init__(self, retry: RetryPolicy, progress: Progress) -> None:
        self._retry = retry
        self._progress = progress
        self._one_at_a_time = asyncio.Lock()
        self._left: dict[asyncio.Task[None], Partition] = {}

    def left(self) -> set[Partition]:
        """The partitions that are left to themselves."""
        return set(self._left.values())

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Nobody else's work meanwhile."""
        async with self._one_at_a_time:
            self._progress.beat()
            yield

    async def through(
        self, partition: Partition, work: Work, often: Callable[[], object] = lambda: None
    ) -> None:
        """Do `work` until it is done: giving up would lose messages. Calls `often` when it failed often."""
        pause = self._retry.first_seconds
        for attempt in count(1):
            async with self.turn():
                try:
                    await work()
                    return
                except Exception as error:
                    log.warning(
                        "batch.waiting", topic=partition.topic, partition=partition.number,
                        reason=type(error).__name__, exc_info=not is_waitable(error),
                    )  # fmt: skip
            if attempt == self._retry.max_attempts * ROUNDS:
                often()
            # Not all for the same time: two that are in each other's way would go on so.
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - no secret
            pause = min(pause * 2, self._retry.most_seconds)

    async def or_leave(self, partition: Partition, work: Work) -> bool:
        """Do `work`; False when it failed so often that it is left to itself."""
        enough = asyncio.Event()
        task = asyncio.create_task(self.through(partition, work, enough.set))
        task.add_done_callback(lambda _: enough.set())
        try:
            await enough.wait()
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done():
            await task
            return True
        log.error("partition.left", topic=partition.topic, partition=partition.number)
        self._left[task] = partition
        task.add_done_callback(self._left.pop)
        return False

    async def wait_for_one(self) -> None:
        """Until one that is left to itself is done, or a while."""
        if self._left:
            some = asyncio.FIRST_COMPLETED
            await asyncio.wait(self._left, timeout=self._retry.most_seconds, return_when=some)

    async def close(self) -> None:
        """End all that is left to itself."""
        left = list(self._left)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
