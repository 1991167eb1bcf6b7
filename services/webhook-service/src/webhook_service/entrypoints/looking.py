"""Asking the database what is due.

Mental model: two looks beside each other. The short one, at each poll, at what has come due within the last
seconds, is cheap whatever the backlog. The long one, at all that is due, finds what the short ones missed:
what a crash or a pause left over. It costs the more the longer the backlog is, so that it keeps to a share of
the time, unless there is more where the last one stopped and hardly anything left to do; and nobody waits for
it who does not wait behind that backlog.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.ports import Deliveries
from webhook_service.domain.delivery import Due
from webhook_service.metrics import DUE

log = get_logger()

FRESH = timedelta(seconds=2)
FOUND = 4_000
"""Found in one long look at most."""
FRESH_FOUND = 10_000
"""Found in a short look at most: what comes due in FRESH, at rates of which one process is capable."""
FEW = 1_000
LONG_SECONDS, BUSY_SECONDS = 1.0, 5.0
"""Between two long looks, when little is known that goes soon, and when enough is."""
SHARE, FRESH_SHARE = 10, 3
"""A look is made no more often than so many times its own length."""
GAUGE_SECONDS, GAUGE_SHARE = 5, 20
GAUGE_LIMIT = 10_000


Ready = Callable[[], int]
"""How many are known that could be sent now."""
Enough = Callable[[], Sequence[str]]
"""Endpoints of which no more need be known."""
Hear = Callable[[Sequence[Due]], None]
"""These have come due."""


class Looking:
    """Fills a backlog, for ever."""

    def __init__(self, deliveries: Deliveries, *, clock: Clock, poll_seconds: float) -> None:
        self._deliveries = deliveries
        self._clock = clock
        self._poll_seconds = poll_seconds

    async def run(self, hear: Hear, *, ready: Ready, enough: Enough) -> None:
        """Look; a database that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_shortly(hear, ready), name="short looks")
            group.create_task(self._look_long(hear, ready, enough), name="long looks")

    async def _look_shortly(self, hear: Hear, ready: Ready) -> None:
        looked_at = self._clock.now()
        while True:
            began, now = monotonic(), self._clock.now()
            if ready() < FEW:
                # Without exceptions: with them the database would read the whole backlog.
                hear(await self._due(looked_at - FRESH, now, FRESH_FOUND, ()))
                looked_at = now
            await asyncio.sleep(max(self._poll_seconds, FRESH_SHARE * (monotonic() - began)))

    async def _look_long(self, hear: Hear, ready: Ready, enough: Enough) -> None:
        next_at, more = 0.0, False
        while True:
            began = monotonic()
            if began >= next_at or (more and ready() < FEW):
                found = await self._due(None, self._clock.now(), FOUND, enough())
                hear(found)
                more = len(found) == FOUND
                pause = LONG_SECONDS if ready() < FEW else BUSY_SECONDS
                next_at = monotonic() + max(pause, SHARE * (monotonic() - began))
            await asyncio.sleep(self._poll_seconds)

    async def _due(
        self, since: datetime | None, now: datetime, limit: int, without: Sequence[str]
    ) -> list[Due]:
        try:
            return await self._deliveries.due(since=since, now=now, limit=limit, except_endpoints=without)
        except Exception as error:  # whatever it is, the next look may work
            log.warning("deliverer.look_failed", reason=type(error).__name__, exc_info=error)
            return []

    async def gauge(self) -> None:
        """Keep the backlog's gauge current, for ever."""
        while True:
            began = monotonic()
            try:
                DUE.set(await self._deliveries.count_due(now=self._clock.now(), limit=GAUGE_LIMIT))
            except Exception as error:  # a gauge must not take the deliverer down
                log.warning("deliverer.gauge_failed", reason=type(error).__name__)
            # Counting a long backlog takes its time, and the deliveries need the database more.
            await asyncio.sleep(max(GAUGE_SECONDS, GAUGE_SHARE * (monotonic() - began)))
