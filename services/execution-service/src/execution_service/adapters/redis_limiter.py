"""The limiter in Redis: a row of evenly spaced slots per Telegram bot, and when each chat is free again.

Mental model: the script owns time. It answers with slots on the server's clock; this side maps them to
the event loop's clock by the bounds between which the difference of the two must lie. A slot is used from the
moment when it has come for certain, until the moment when it may be over: where the bounds are further apart
than that leaves (slow answers only, so far), it is missed and the next answer tells the difference better.

Slots are spaced for what the sender's clock may be off (see Pace): a window of a second plus that holds no
more of them than the rate. Chats get as much and more on top, for the way to Telegram is not always as long.
"""

import math
import time
from collections.abc import Callable, Sequence
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
from execution_service.domain.bot import Pace, pace
from execution_service.domain.clock_offset import DRIFT, ClockOffset

GRANT = int(GRANT_SECONDS * 1_000_000)
"""Times are microseconds here. A full grant of slots must be free before anybody gets some."""
HORIZON = 2 * GRANT
"""How far ahead slots are given: while one grant is being used the next one is handed out."""
EMPTY_START = 1_000_000
KEPT_MS = 3_600_000
_ARRIVAL = 0.05
"""Two messages to a chat are so many seconds further apart than they must be when they are dispatched."""
_AHEAD = DRIFT * HORIZON / 1e6
"""So much may the clocks run apart until the last slot of a grant."""


class RedisLimiter:
    """Slots and silences of all Telegram bots.

    `clock` is the event loop's, in seconds; not `loop.time`, for uvloop's shows whole milliseconds only.
    """

    def __init__(self, redis: Redis, *, clock: Callable[[], float] = time.monotonic) -> None:
        scripts = files("execution_service.adapters")
        self._reserve = redis.register_script(scripts.joinpath("reserve.lua").read_text("utf-8"))
        self._block = redis.register_script(scripts.joinpath("block.lua").read_text("utf-8"))
        self._clock = clock
        self._offset = ClockOffset()

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
        asked = self._clock()
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
        return self._grant(answer, asked, spacing, kept)

    def _grant(self, answer: list[int | bytes], asked: float, spacing: float, kept: Pace) -> Grant:
        """The script's answer on this loop's clock; `asked` of it then."""
        dealt, first, now = int(answer[0]), float(answer[1]), float(answer[2])
        least, most = self._offset.narrow(asked=asked, server=now / 1e6, heard=self._clock())
        if dealt == 0:
            return Grant((), first / 1e6)
        latest, earliest = least - _AHEAD + kept.late, most + _AHEAD
        waits = dict(zip(answer[3::2], answer[4::2], strict=True))
        turns: list[Slot | Deferred] = []
        mark = first
        for number in range(1, dealt + 1):
            if number in waits:
                turns.append(Deferred((now + float(waits[number])) / 1e6 + earliest))
            else:
                turns.append(Slot(mark / 1e6 + earliest, mark / 1e6 + latest, mark))
                mark += spacing
        return Grant(turns)

    async def block(self, telegram_id: int, seconds: float) -> None:
        """No slots for `seconds`. Raises LimiterUnavailable."""
        try:
            await self._block(keys=[_key(telegram_id, "silent")], args=[math.ceil(seconds * 1e6)])
        except (RedisError, OSError, TimeoutError) as error:
            raise LimiterUnavailable(str(telegram_id)) from error


def _key(telegram_id: int, what: str) -> str:
    """The braces keep a bot's keys in one slot of a cluster."""
    return f"limiter:{{{telegram_id}}}:{what}"
