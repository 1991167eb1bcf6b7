"""The limiter in Redis: a row of evenly spaced slots per Telegram bot, and when each chat is free again.

Mental model: the script owns time. It answers with slots on the server's clock; this side maps them to
the event loop's clock by the smallest difference between the two that it has ever seen (an answer can
only arrive late, so the smallest one is the closest to the truth). A slow answer therefore makes slots
look late, which the sender can tell, instead of silently moving all of them.

Slots are spaced for what the sender's clock may be off (see Pace): a window of a second plus that holds no
more of them than the rate. Chats get as much and more on top, for the way to Telegram is not always as long.
"""

import asyncio
import math
from collections.abc import Sequence
from importlib.resources import files

from redis.asyncio import Redis
from redis.exceptions import RedisError

from execution_service.application.ports_sending import (
    GRANT_SECONDS,
    Deferred,
    Grant,
    LimiterUnavailable,
    Sharer,
    Slot,
)
from execution_service.domain.bot import pace

GRANT = int(GRANT_SECONDS * 1_000_000)
"""Times are microseconds here. A full grant of slots must be free before anybody gets some."""
HORIZON = 2 * GRANT
"""How far ahead slots are given: while one grant is being used the next one is handed out."""
EMPTY_START = 1_000_000
KEPT_MS = 3_600_000
_ARRIVAL = 0.05
"""Two messages to a chat are so many seconds further apart than they must be when they are dispatched."""
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

    async def reserve(self, sharer: Sharer, chats: Sequence[int], *, missed: Sequence[Slot] = ()) -> Grant:
        """Slots, a grant's at most; see the port. Raises LimiterUnavailable."""
        rate, kept = sharer.rate, pace(sharer.rate)
        spacing = (1 + kept.spread) * 1e6 / rate
        jitter = max(_ARRIVAL, kept.spread)
        chat_gap = (1 + jitter) * 1e6 / sharer.limits.per_chat_per_second
        group_gap = (60 + jitter) * 1e6 / sharer.limits.per_group_per_minute
        # A limit that the bot's own does not let anybody reach needs no looking after.
        chat = "c" if sharer.limits.per_chat_per_second < rate else "-"
        group = "g" if sharer.limits.per_group_per_minute < rate * 60 else "-"
        letters = "".join([group if chat_id < 0 else chat for chat_id in chats])
        limited = [chat_id for chat_id, kind in zip(chats, letters, strict=True) if kind != "-"]
        row = "paid:" if sharer.paid else ""
        names = [
            f"{row}served",
            f"{row}waiting",
            f"{row}free",
            f"{row}clock",
            "silent",
            "born",
            f"{row}asked",
        ]
        arguments: list[str | int | float] = [
            spacing,
            max(1, int(GRANT / spacing)),
            HORIZON,
            0 if missed else kept.lead * 1e6,
            max(EMPTY_START, HORIZON + chat_gap) if chat == "c" else EMPTY_START,
            KEPT_MS,
            sharer.share,
            sharer.weight,
            letters,
            chat_gap,
            group_gap,
            *[slot.mark for slot in missed],
        ]
        try:
            answer = await self._reserve(
                keys=[
                    *[_key(sharer.telegram_id, name) for name in names],
                    *[_key(sharer.telegram_id, f"chat:{chat_id}") for chat_id in limited],
                ],
                args=arguments,
            )
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterUnavailable(str(sharer.telegram_id)) from error
        return self._grant(answer, spacing)

    def _grant(self, answer: list[int | bytes], spacing: float) -> Grant:
        """The script's answer on this loop's clock."""
        dealt, first, now = int(answer[0]), float(answer[1]), float(answer[2])
        if dealt == 0:
            return Grant((), first / 1e6)
        offset = self._clock_offset(now / 1e6)
        waits = dict(zip(answer[3::2], answer[4::2], strict=True))
        turns: list[Slot | Deferred] = []
        mark = first
        for number in range(1, dealt + 1):
            if number in waits:
                turns.append(Deferred((now + float(waits[number])) / 1e6 + offset))
            else:
                turns.append(Slot(mark / 1e6 + offset, mark))
                mark += spacing
        return Grant(turns)

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
