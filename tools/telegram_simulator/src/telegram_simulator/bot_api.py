"""The Bot API's behaviour without HTTP: (token, method, parameters) -> answer.

A sending request passes these gates in order, and the first that stops it is its answer: the token (401),
the bot's running 429 or a burst of them (429), the parameters (400), the limits (429), the request's 5xx
(500), the chat (403, 400). What passes all is delivered; its answer may still come late or never.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from telegram_simulator import messages
from telegram_simulator.config import Config, changed
from telegram_simulator.faults import chat_fault, in_burst, request_fault
from telegram_simulator.ledger import METHODS, Ledger
from telegram_simulator.limits import SECOND, BotLimits
from telegram_simulator.outcomes import ERROR_ANSWERS, Outcome
from telegram_simulator.parameters import ParameterError

_TOKEN = re.compile(r"([1-9][0-9]{0,14}):[A-Za-z0-9_-]{10,}")
# Telegram matches method names whatever their case.
_SENDING = {name.lower(): name for name in METHODS}
_encode = msgspec.json.Encoder().encode


class Answer(NamedTuple):
    """What goes back: status, JSON body, seconds to wait before, and whether to give none at all."""

    status: int
    body: bytes
    retry_after: int = 0
    delay: float = 0.0
    dropped: bool = False


class _Bot:
    """What is remembered of one bot: its limits, its message ids, and how often each chat was tried."""

    def __init__(self) -> None:
        self.limits = BotLimits()
        self.last_message_id = 0
        self.attempts: dict[int, int] = {}


class BotApi:
    """Answers Bot API calls. `clock` gives monotonic nanoseconds, `now` seconds since the epoch."""

    def __init__(
        self, config: Config, ledger: Ledger, *, clock: Callable[[], int], now: Callable[[], float]
    ) -> None:
        self.config = config
        self.ledger = ledger
        self._clock = clock
        self._now = now
        self._bots: dict[int, _Bot] = {}
        self._bursts_from = clock()

    def configure(self, changes: Mapping[str, object]) -> Config:
        """Applies settings at once; a burst setting restarts the bursts' clock. Raises ConfigError."""
        self.config = changed(self.config, changes)
        if any(name.startswith("burst_429_") for name in changes):
            self._bursts_from = self._clock()
        return self.config

    def clear(self) -> int:
        """Empties the ledger and the attempt counts, so that the same traffic meets the same faults again."""
        for bot in self._bots.values():
            bot.attempts.clear()
        return self.ledger.clear()

    def call(self, token: str, method: str, read: Callable[[], Mapping[str, object]]) -> Answer:
        """The answer to one call. `read` gives the parameters and may raise ParameterError."""
        name = method.lower()
        sending = _SENDING.get(name)
        if sending is None:
            return self._get_me(token) if name == "getme" else error(404, "Not Found")
        try:
            parameters = read()
            message = messages.parse(sending, parameters)
        except ParameterError as broken:
            message = messages.unreadable(str(broken))
        bot_id = self._authorised(token)
        if bot_id is None:
            found = _TOKEN.fullmatch(token)
            return self._refuse(Outcome.UNAUTHORIZED, int(found[1]) if found else None, sending, message)
        return self._send(bot_id, sending, message)

    def _authorised(self, token: str) -> int | None:
        found = _TOKEN.fullmatch(token)
        return int(found[1]) if found and token not in self.config.unauthorized_tokens else None

    def _get_me(self, token: str) -> Answer:
        bot_id = self._authorised(token)
        if bot_id is None:
            return error(*ERROR_ANSWERS[Outcome.UNAUTHORIZED])
        stopped = self._stopped_for(self._bot(bot_id).limits)
        return _too_many(stopped) if stopped else _ok(messages.bot_user(bot_id, full=True))

    def _bot(self, bot_id: int) -> _Bot:
        bot = self._bots.get(bot_id)
        if bot is None:
            bot = self._bots[bot_id] = _Bot()
        return bot

    def _stopped_for(self, limits: BotLimits) -> int:
        """Seconds of 429 that meet any call of this bot now; a burst starts a wait like any other 429."""
        now = self._clock()
        stopped = limits.stopped_for(now)
        if not stopped and in_burst(self.config, (now - self._bursts_from) / SECOND):
            stopped = self.config.burst_429_retry_after
            limits.stop(stopped, now)
        return stopped

    def _send(self, bot_id: int, method: str, message: messages.Message) -> Answer:
        config, bot = self.config, self._bot(bot_id)
        retry_after = self._stopped_for(bot.limits)
        if retry_after:
            return self._refuse(Outcome.RATE_LIMITED, bot_id, method, message, retry_after)
        if message.refusal:
            return self._refuse(Outcome.BAD_REQUEST, bot_id, method, message)
        chat = message.chat_id if isinstance(message.chat_id, int) else None
        retry_after = bot.limits.admit(config, chat, self._clock(), paid=message.paid)
        if retry_after:
            return self._refuse(Outcome.RATE_LIMITED, bot_id, method, message, retry_after)
        if chat is None:
            # The simulator knows no @names.
            return self._refuse(Outcome.NOT_FOUND, bot_id, method, message)
        attempt = bot.attempts[chat] = bot.attempts.get(chat, 0) + 1
        fault = request_fault(config, chat, attempt)
        outcome = Outcome.SERVER_ERROR if fault.server_error else chat_fault(config, chat)
        if outcome is not None:
            answer = self._refuse(outcome, bot_id, method, message)
        else:
            answer = self._deliver(bot_id, bot, method, message, fault.dropped)
        return answer._replace(delay=fault.delay) if fault.delay else answer

    def _deliver(
        self, bot_id: int, bot: _Bot, method: str, message: messages.Message, dropped: bool
    ) -> Answer:
        bot.last_message_id += 1
        self.ledger.append(
            bot_id=bot_id,
            method=method,
            chat_id=message.chat_id,
            text=message.text,
            outcome=Outcome.DROPPED_AFTER_DELIVERY if dropped else Outcome.DELIVERED,
            status=None if dropped else 200,
            message_id=bot.last_message_id,
            media=message.media,
            buttons=message.buttons,
        )
        if dropped:
            return Answer(0, b"", dropped=True)
        return _ok(messages.delivered(method, message, bot_id, bot.last_message_id, int(self._now())))

    def _refuse(
        self,
        outcome: Outcome,
        bot_id: int | None,
        method: str,
        message: messages.Message,
        retry_after: int = 0,
    ) -> Answer:
        if outcome is Outcome.RATE_LIMITED:
            answer = _too_many(retry_after)
        elif outcome is Outcome.BAD_REQUEST:
            answer = error(400, message.refusal)
        else:
            answer = error(*ERROR_ANSWERS[outcome])
        self.ledger.append(
            bot_id=bot_id,
            method=method,
            chat_id=message.chat_id,
            text=message.text,
            outcome=outcome,
            status=answer.status,
            media=message.media,
            buttons=message.buttons,
        )
        return answer


def error(code: int, description: str) -> Answer:
    """Telegram's error body; the HTTP status is the error code."""
    return Answer(code, _encode({"ok": False, "error_code": code, "description": description}))


def _ok(result: object) -> Answer:
    return Answer(200, _encode({"ok": True, "result": result}))


def _too_many(retry_after: int) -> Answer:
    body = {
        "ok": False,
        "error_code": 429,
        "description": f"Too Many Requests: retry after {retry_after}",
        "parameters": {"retry_after": retry_after},
    }
    return Answer(429, _encode(body), retry_after=retry_after)
