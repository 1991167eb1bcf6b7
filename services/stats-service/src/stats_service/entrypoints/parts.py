"""The loops of the aggregator process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from service_kit.logging import get_logger

from stats_service.application.catch_up import Look
from stats_service.application.ports import Partition, Record
from stats_service.entrypoints.aggregator import Aggregator
from stats_service.entrypoints.patience import Progress, is_waitable
from stats_service.metrics import ANNOUNCED, CAUGHT_UP, RESETS

log = get_logger()

LOOKS_BEFORE_REPLACING = 3


class SourceHangs(Exception):
    """The consumer delivers nothing although there is something; a fresh process is the remedy."""


class Source(Protocol):
    """Gives messages and takes acknowledgements."""

    async def take(self, most: int) -> list[Any]:
        """The next messages, at least one."""
        ...

    def record(self, event: Any) -> Record:
        """The message in an event."""
        ...

    def acknowledge(self, events: list[Any]) -> None:
        """They need not come again."""
        ...


async def fold_for_ever(source: Source, aggregator: Aggregator, *, most: int) -> None:
    """Fold what the source gives; acknowledge what is stored, or left to be read from the log."""
    try:
        while True:
            events = await source.take(most)
            groups: dict[Partition, list[Record]] = {}
            for event in events:
                record = source.record(event)
                groups.setdefault(Partition(record.topic, record.partition), []).append(record)
            await aggregator.take_all(groups)
            source.acknowledge(events)
    finally:
        await aggregator.close()


async def catch_up_for_ever(
    look_at_the_log: Callable[[], Awaitable[Look]],
    *,
    silence: Callable[[], float],
    every_seconds: float,
    silent_seconds: float,
    progress: Progress,
) -> None:
    """Compare positions with the log again and again. Raises SourceHangs.

    `silence` says how many seconds ago the consumer delivered its last message.
    """
    mended = 0
    while True:
        try:
            look = await look_at_the_log()
        except Exception as error:
            if not is_waitable(error):
                raise
            log.warning("catch_up.waiting", reason=type(error).__name__)
        else:
            for partition in look.reset:
                RESETS.inc()
                log.error("position.reset", topic=partition.topic, partition=partition.number,
                          reason="it was beyond the end: the topic was made anew or cut")  # fmt: skip
            CAUGHT_UP.inc(len(look.filled))
            mended = mended + 1 if look.filled else 0
            if mended >= LOOKS_BEFORE_REPLACING and silence() > silent_seconds:
                raise SourceHangs(f"{silence():.0f} s without a message")
        progress.beat()
        await asyncio.sleep(every_seconds)


async def announce_for_ever(
    announce: Callable[[], Awaitable[int]], *, every_seconds: float, retry_seconds: float
) -> None:
    """Announce what is due again and again; a database that is away is waited for."""
    while True:
        pause = every_seconds
        try:
            ANNOUNCED.inc(await announce())
        except Exception as error:
            if not is_waitable(error):
                raise
            log.warning("announce.waiting", reason=type(error).__name__)
            pause = retry_seconds
        await asyncio.sleep(pause)
