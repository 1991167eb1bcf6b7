"""Telegram's flood control: exact sliding windows on the caller's monotonic clock.

All times are nanoseconds of one monotonic clock, passed in, so that tests move it by hand. A window of P
seconds with limit N means: never more than N admitted requests in any half-open interval of length P.
Only admitted requests count. After a 429 the bot pays: until retry_after has passed it gets nothing but 429.
"""

from collections import deque

from telegram_simulator.config import Config

SECOND = 1_000_000_000
_MINUTE = 60 * SECOND


class SlidingWindow:
    """Admissions of one key in the last `period` nanoseconds."""

    __slots__ = ("_period", "_times")

    def __init__(self, period: int) -> None:
        self._period = period
        self._times: deque[int] = deque()

    def wait(self, limit: int, now: int) -> int:
        """Nanoseconds until one more fits under `limit` (0: it fits now; limit 0: no limit)."""
        times = self._times
        while times and now - times[0] >= self._period:
            times.popleft()
        if not limit or len(times) < limit:
            return 0
        return times[len(times) - limit] + self._period - now

    def add(self, now: int) -> None:
        """Counts one admitted request."""
        self._times.append(now)


class KeyedWindows:
    """One sliding window per chat, forgetting the idle ones.

    Two generations, swapped once per period: a chat untouched for two swaps has no admission left inside
    the window and is dropped with its generation, so memory follows the traffic, not the audience.
    """

    __slots__ = ("_new", "_old", "_period", "_swap_at")

    def __init__(self, period: int) -> None:
        self._period = period
        self._new: dict[int, list[int]] = {}
        self._old: dict[int, list[int]] = {}
        self._swap_at = 0

    def wait(self, key: int, limit: int, now: int) -> int:
        """Nanoseconds until one more request for `key` fits under `limit` (limit 0: no limit)."""
        self._forget(now)
        times = self._new.get(key)
        if times is None:
            times = self._old.pop(key, None)
            if times is None:
                return 0
            self._new[key] = times
        while times and now - times[0] >= self._period:
            del times[0]
        if not limit or len(times) < limit:
            return 0
        return times[len(times) - limit] + self._period - now

    def add(self, key: int, now: int) -> None:
        """Counts one admitted request; `wait` was called for this key at the same `now`."""
        self._new.setdefault(key, []).append(now)

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def _forget(self, now: int) -> None:
        if now < self._swap_at:
            return
        # After an idle stretch both generations are older than the window.
        self._old = self._new if now < self._swap_at + self._period else {}
        self._new = {}
        self._swap_at = now + self._period


class BotLimits:
    """The flood control of one Telegram bot (its numeric id), whoever uses its token."""

    def __init__(self) -> None:
        self._bot = SlidingWindow(SECOND)
        self._paid = SlidingWindow(SECOND)
        self._chats = KeyedWindows(SECOND)
        self._groups = KeyedWindows(_MINUTE)
        self._stopped_until = 0

    def stopped_for(self, now: int) -> int:
        """Whole seconds for which the bot still gets nothing but 429; 0 when it may go on."""
        return _whole_seconds(self._stopped_until - now)

    def stop(self, seconds: int, now: int) -> None:
        """From now on and for `seconds` every request of this bot answers 429."""
        self._stopped_until = max(self._stopped_until, now + seconds * SECOND)

    def admit(self, config: Config, chat_id: int | None, now: int, *, paid: bool = False) -> int:
        """0 and the request is counted, or the retry_after (seconds) of the 429 it gets instead.

        A negative `chat_id` is a group; None (no chat that could be known) counts for the bot only. What is
        `paid` for has a limit of its own and does not count for the bot's.
        """
        of_bot = self._paid if paid else self._bot
        bot_wait = of_bot.wait(config.paid_per_second if paid else config.bot_per_second, now)
        chat_wait = 0
        if chat_id is not None:
            windows, limit = self._of_chat(config, chat_id)
            chat_wait = windows.wait(chat_id, limit, now)
        if bot_wait or chat_wait:
            retry_after = _whole_seconds(max(bot_wait, chat_wait))
            if bot_wait or config.chat_429_stops_bot:
                self.stop(retry_after, now)
            return retry_after
        of_bot.add(now)
        if chat_id is not None:
            windows.add(chat_id, now)
        return 0

    def _of_chat(self, config: Config, chat_id: int) -> tuple[KeyedWindows, int]:
        if chat_id < 0:
            return self._groups, config.group_per_minute
        return self._chats, config.chat_per_second


def _whole_seconds(nanoseconds: int) -> int:
    return max(0, -(-nanoseconds // SECOND))
