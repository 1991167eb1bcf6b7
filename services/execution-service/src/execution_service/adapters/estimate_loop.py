"""The parts that keep audiences counted: one turn after the other, by one process at a time."""

import asyncio
from collections.abc import Awaitable, Callable

from pymongo.errors import PyMongoError
from service_kit.logging import get_logger
from service_kit.mongo.lease import MongoLease

log = get_logger()


class EstimateLoop:
    """Runs `turn` every `seconds` while it holds `lease`; `eager`: at once again while it finds something.

    The lease only saves work: two processes that count at once do not harm each other.
    """

    def __init__(
        self, turn: Callable[[], Awaitable[int]], *, lease: MongoLease, seconds: float, eager: bool
    ) -> None:
        self._turn = turn
        self._eager = eager
        self._lease = lease
        self._seconds = seconds

    async def run(self) -> None:
        """Go on until cancelled; a database that is away delays counts, nothing more."""
        try:
            while True:
                found = 0
                try:
                    if await self._lease.acquire() is not None:
                        found = await self._turn()
                except (PyMongoError, TimeoutError) as error:
                    log.warning("estimates.waiting", reason=type(error).__name__)
                await asyncio.sleep(0 if self._eager and found else self._seconds)
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        try:
            async with asyncio.timeout(1):
                await self._lease.release()
        except (PyMongoError, TimeoutError) as error:
            log.warning("estimates.lease_left_to_expire", reason=type(error).__name__)
