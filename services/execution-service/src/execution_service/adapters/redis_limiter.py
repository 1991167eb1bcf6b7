"""The limiter in Redis: one row of evenly spaced slots per Telegram bot, shared by all workers.

Mental model: the script owns time. It answers with slots on the server's clock; this side maps them to
the event loop's clock by the smallest difference between the two that it has ever seen (an answer can
only arrive late, so the smallest one is the closest to the truth). A slow answer therefore makes slots
look late, which the sender can tell, instead of silently moving all of them.
"""

import asyncio
import math
from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import RedisError

from execution_service.application.ports_sending import GRANT_SECONDS, Grant, LimiterUnavailable

GRANT = int(GRANT_SECONDS * 1_000_000)
"""Times are microseconds here. A full grant of slots must be free before anybody gets some."""
HORIZON = 2 * GRANT
"""How far ahead slots are given: while one grant is being used the next one is handed out."""
LEAD = 60_000
"""How far ahead at least: the intent is stored in this time."""
EMPTY_START = 1_000_000
KEPT_MS = 3_600_000
_DRIFT = 1e-4
"""Two clocks may run apart by so much: 100 parts in a million."""


class RedisLimiter:
    """Slots and silences of all Telegram bots."""

    def __init__(self, redis: Redis) -> None:
        scripts = files("execution_service.adapters")
        self._reserve = redis.register_script(scripts.joinpath("reserve.lua").read_text("utf-8"))
        self._block = redis.register_script(scripts.joinpath("block.lua").read_text("utf-8"))
        self._offset = math.inf
        self._seen = 0.0

    async def reserve(
        self, telegram_id: int, *, per_second: float, wanted: int, share: str, weight: int
    ) -> Grant:
        """Up to `wanted` slots at `per_second`, a grant's at most. Raises LimiterUnavailable."""
        spacing = math.ceil(1_000_000 / per_second)
        enough = max(1, GRANT // spacing)
        keys = [_key(telegram_id, part) for part in ("free", "silent", "clock", "served", "waiting")]
        arguments: list[str | int] = [
            spacing,
            wanted,
            enough,
            HORIZON,
            LEAD,
            EMPTY_START,
            KEPT_MS,
            share,
            weight,
        ]
        try:
            granted, first, now = await self._reserve(keys=keys, args=arguments)
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterUnavailable(str(telegram_id)) from error
        if granted == 0:
            return Grant((), first / 1e6)
        base = first / 1e6 + self._clock_offset(now / 1e6)
        return Grant([base + index * spacing / 1e6 for index in range(granted)])

    async def block(self, telegram_id: int, seconds: float) -> None:
        """No slots for `seconds`. Raises LimiterUnavailable."""
        try:
            await self._block(keys=[_key(telegram_id, "silent")], args=[math.ceil(seconds * 1e6)])
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterUnavailable(str(telegram_id)) from error

    def _clock_offset(self, server_now: float) -> float:
        """Loop time minus server time, at its smallest, allowing for drift."""
        loop_now = asyncio.get_running_loop().time()
        grown = self._offset + (loop_now - self._seen) * _DRIFT
        self._offset, self._seen = min(grown, loop_now - server_now), loop_now
        return self._offset


def _key(telegram_id: int, what: str) -> str:
    """The braces keep a bot's keys in one slot of a cluster."""
    return f"limiter:{{{telegram_id}}}:{what}"
