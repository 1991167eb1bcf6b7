"""The loop of every part that looks for work."""

import asyncio
from collections.abc import Awaitable, Callable

from service_kit.logging import get_logger

log = get_logger()


async def keep_going(
    work: Callable[[], Awaitable[bool]],
    *,
    idle_seconds: float,
    retry_seconds: float,
    stopping: asyncio.Event | None = None,
) -> None:
    """Call `work` until `stopping`: at once again while it finds something, else after a pause.

    A failure (the database is away, say) is logged and followed by a longer pause.
    """
    stop = stopping or asyncio.Event()
    while not stop.is_set():
        try:
            pause = 0.0 if await work() else idle_seconds
        except Exception as error:
            log.warning("part.waiting", reason=type(error).__name__, exc_info=error)
            pause = retry_seconds
        if pause:
            try:
                await asyncio.wait_for(stop.wait(), pause)
            except TimeoutError:
                continue
