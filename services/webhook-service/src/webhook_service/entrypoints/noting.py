"""Noting what answers say of their endpoints, beside the deliveries: none of them waits for it.

Mental model: many endpoints that fail at the same moment mean many writes, and each of their pauses a write
to all that waits there. The notes are made one after another; what waits is put off at leisure, in a share of
the time, since whoever takes looks at the pause anyway.
"""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.attempt_delivery import Sent
from webhook_service.application.ports import Deliveries
from webhook_service.application.record_outcomes import RecordOutcomes
from webhook_service.metrics import DISABLED, PAUSED

log = get_logger()

SHARE = 10
"""Putting off waits so many times as long as it took."""


class Noting:
    """`hold` gives nothing of an endpoint, in this process, for some seconds."""

    def __init__(
        self,
        record: RecordOutcomes,
        deliveries: Deliveries,
        *,
        clock: Clock,
        hold: Callable[[str, float], None],
    ) -> None:
        self._record = record
        self._deliveries = deliveries
        self._clock = clock
        self._hold = hold
        self._sent: list[Sent] = []
        self._pauses: dict[str, datetime] = {}
        self._news, self._paused = asyncio.Event(), asyncio.Event()

    def tell(self, sent: Sequence[Sent]) -> None:
        """These have been recorded."""
        self._sent += sent
        self._news.set()

    async def run(self) -> None:
        """Note for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._note_all(), name="note")
            group.create_task(self._put_off_all(), name="put off")

    async def _note_all(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            sent, self._sent = self._sent, []
            try:
                noted = await self._record.note(sent)
            except Exception as error:  # later answers say it again
                log.warning(
                    "deliverer.not_noted", count=len(sent), reason=type(error).__name__, exc_info=error
                )
                continue
            PAUSED.inc(len(noted.paused))
            for reason in noted.disabled:
                DISABLED.labels(reason=reason.value).inc()
            for endpoint_id, until in noted.paused.items():
                self._hold(endpoint_id, (until - self._clock.now()).total_seconds())
            self._pauses |= noted.paused
            self._paused.set()

    async def _put_off_all(self) -> None:
        while True:
            await self._paused.wait()
            self._paused.clear()
            while self._pauses:
                endpoint_id, until = self._pauses.popitem()
                began = monotonic()
                try:
                    if until > self._clock.now():
                        await self._deliveries.postpone_all(endpoint_id, until=until)
                except Exception as error:  # who takes sees the pause
                    log.warning("deliverer.not_put_off", reason=type(error).__name__)
                await asyncio.sleep(SHARE * (monotonic() - began))
