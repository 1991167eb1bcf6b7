"""Noting what answers say of their endpoints, beside the deliveries: none of them waits for it.

Many endpoints that fail at the same moment mean many writes, one after another.
"""

import asyncio
from collections.abc import Callable, Sequence

from service_kit.clock import Clock
from service_kit.logging import get_logger

from webhook_service.application.attempt_delivery import Sent
from webhook_service.application.record_outcomes import RecordOutcomes
from webhook_service.application.take_deliveries import GLANCE
from webhook_service.metrics import DISABLED, PAUSED

log = get_logger()

HEAL_SECONDS = 5.0


class Noting:
    """`hold` gives nothing of an endpoint, in this process, for some seconds."""

    def __init__(self, record: RecordOutcomes, *, clock: Clock, hold: Callable[[str, float], None]) -> None:
        self._record = record
        self._clock = clock
        self._hold = hold
        self._sent: list[Sent] = []
        self._news = asyncio.Event()

    def tell(self, sent: Sequence[Sent]) -> None:
        """These have been recorded."""
        self._sent += sent
        self._news.set()

    async def run(self) -> None:
        """Note for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._note_all(), name="notes")
            group.create_task(self._heal_all(), name="heals")

    async def _heal_all(self) -> None:
        while True:
            await asyncio.sleep(HEAL_SECONDS)
            try:
                await self._record.heal()
            except Exception as error:  # later successes say it again
                log.warning("deliverer.not_healed", reason=type(error).__name__, exc_info=error)

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
                # For a moment only: who takes asks about the pause again, and its owner may end it.
                self._hold(endpoint_id, min(until - self._clock.now(), GLANCE).total_seconds())
