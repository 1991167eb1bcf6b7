"""The schedules' part of the consumer process: looks again and again for campaigns whose time has come."""

import asyncio
from collections.abc import Awaitable, Callable

from pymongo.errors import PyMongoError
from service_kit.logging import get_logger

from campaign_service.application.fire_schedules import BATCH, Result
from campaign_service.metrics import SCHEDULES

log = get_logger()


async def watch_schedules(fire: Callable[[], Awaitable[list[Result]]], *, poll_seconds: float) -> None:
    """Call `fire` for ever, `poll_seconds` apart; at once again while it empties full batches.

    A look that fails is logged and repeated: a database that is away delays schedules, nothing more.
    """
    while True:
        pause = poll_seconds
        try:
            results = await fire()
            for result in results:
                SCHEDULES.labels(result=result).inc()
            # A batch that was left whole would be found again at once.
            if len(results) >= BATCH and set(results) != {"left"}:
                pause = 0
        except (PyMongoError, TimeoutError) as error:
            log.warning("schedules.waiting", reason=type(error).__name__)
        await asyncio.sleep(pause)
