"""A 429 speaks to the whole bot: every worker of it is silent for `retry_after`.

Kept three times: in this process (takes effect with the next dispatch), in the limiter (all processes,
at their next reservation) and durably (for when the limiter's memory is lost).
"""

import asyncio
import math
from datetime import timedelta

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.ports_sending import BotWaits, Limiter

log = get_logger()

LOOK_SECONDS = 0.25
"""How long a look at the durable memory is good for: a limiter that was emptied grants nothing for longer."""


class Silence:
    """Knows how long each Telegram bot must be silent."""

    def __init__(self, *, limiter: Limiter, waits: BotWaits, clock: Clock) -> None:
        self._limiter = limiter
        self._waits = waits
        self._clock = clock
        self._until: dict[int, float] = {}
        self._looked: dict[int, float] = {}

    def left(self, telegram_id: int) -> float:
        """Seconds that this process knows of; 0 when it may speak."""
        until = self._until.get(telegram_id)
        return 0 if until is None else max(0.0, until - asyncio.get_running_loop().time())

    async def begin(self, telegram_id: int, seconds: float) -> None:
        """Be silent for `seconds`. What cannot be reached is logged: others will hear it from Telegram."""
        self._keep(telegram_id, seconds)
        end = self._clock.now() + timedelta(seconds=seconds)
        for part in (self._limiter.block(telegram_id, seconds), self._waits.extend(telegram_id, end)):
            try:
                await part
            except Exception as error:
                log.warning("silence.not_shared", telegram_id=telegram_id, reason=type(error).__name__)

    async def durable(self, telegram_id: int) -> float:
        """Seconds to be silent by every memory but the limiter's own, as it was at most LOOK_SECONDS ago."""
        now = asyncio.get_running_loop().time()
        if now - self._looked.get(telegram_id, -math.inf) > LOOK_SECONDS:
            until = await self._waits.until(telegram_id)
            if until is not None:
                self._keep(telegram_id, (until - self._clock.now()).total_seconds())
            self._looked[telegram_id] = now
        return self.left(telegram_id)

    def _keep(self, telegram_id: int, seconds: float) -> None:
        until = asyncio.get_running_loop().time() + seconds
        self._until[telegram_id] = max(until, self._until.get(telegram_id, 0))
