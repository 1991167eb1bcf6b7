"""Asking the database what is due.

Mental model: two looks. The short one, at each poll, at what has come due within the last seconds, is cheap
whatever the backlog. The long one, at all that is due, finds what the short ones missed: what a crash or a
pause left over. It costs the more the longer the backlog is, so that it keeps to a share of the time, unless
there is more where the last one stopped and hardly anything left to do.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.ports import Deliveries
from webhook_service.domain.backlog import Backlog
from webhook_service.domain.delivery import Due
from webhook_service.metrics import DUE

log = get_logger()

FRESH = timedelta(seconds=2)
FOUND = 4_000
"""Found in one look at most."""
FEW = 1_000
CROWD = 500
"""Of an endpoint of which so many are known no more are asked for."""
LONG_SECONDS = 1.0
SHARE = 10
"""A long look is made no more often than so many times its own length."""
GAUGE_SECONDS = 5
GAUGE_LIMIT = 10_000


class Looking:
    """Fills a backlog, for ever."""

    def __init__(self, deliveries: Deliveries, *, clock: Clock, poll_seconds: float) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._poll_seconds = poll_seconds
        self._long_at = 0.0
        self._more = False

    async def run(self, backlog: Backlog, hear: Callable[[Sequence[Due]], None]) -> None:
        """Look at each poll; a database that is away is waited for."""
        while True:
            try:
                hear(await self._look(backlog))
            except Exception as error:  # whatever it is, the next look may work
                log.warning("deliverer.look_failed", reason=type(error).__name__, exc_info=error)
            await asyncio.sleep(self._poll_seconds)

    async def _look(self, backlog: Backlog) -> list[Due]:
        began, now = monotonic(), self._clock.now()
        long = began >= self._long_at or (self._more and len(backlog) < FEW)
        if not long and len(backlog) >= FEW:
            return []
        found = await self._deliveries.due(
            since=None if long else now - FRESH, now=now, limit=FOUND, except_endpoints=backlog.crowded(CROWD)
        )
        if long:
            self._more = len(found) == FOUND
            self._long_at = monotonic() + max(LONG_SECONDS, SHARE * (monotonic() - began))
        return found

    async def gauge(self) -> None:
        """Keep the backlog's gauge current, for ever."""
        while True:
            try:
                DUE.set(await self._deliveries.count_due(now=self._clock.now(), limit=GAUGE_LIMIT))
            except Exception as error:  # a gauge must not take the deliverer down
                log.warning("deliverer.gauge_failed", reason=type(error).__name__)
            await asyncio.sleep(GAUGE_SECONDS)
