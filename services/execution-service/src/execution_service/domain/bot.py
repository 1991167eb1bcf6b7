"""A Telegram bot that an organisation sends with."""

import re
from dataclasses import dataclass
from datetime import datetime

TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{3,128}")
"""Telegram's form: the bot's numeric id, a colon, a secret."""


@dataclass(frozen=True, slots=True)
class BotLimits:
    """What Telegram lets the bot do: messages a second, per chat a second, per group a minute.

    `paid_per_second` is for messages that the bot's owner pays for; 0: there are none.
    Sources: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this,
    https://core.telegram.org/bots/api#sendmessage (`allow_paid_broadcast`)
    """

    per_second: int = 30
    per_chat_per_second: int = 1
    per_group_per_minute: int = 20
    paid_per_second: int = 1_000

    def rate(self, *, paid: bool) -> int:
        """Messages a second in all."""
        return self.paid_per_second if paid else self.per_second


@dataclass(frozen=True, slots=True)
class Pace:
    """How exactly slots are kept, in seconds.

    `early` and `late`: how far from its slot a message may be dispatched. `leaving`: how long it takes then
    until it is on its way. `lead`: how long before its slot one is handed out.
    `lanes`: how many messages of a window are under way at once (0: as many as their slots say).
    """

    early: float
    late: float
    leaving: float
    lead: float
    lanes: int = 0

    @property
    def spread(self) -> float:
        """Slots are spaced for so much, that no second holds more dispatches than the rate."""
        return self.early + self.late + self.leaving


_EXACT = Pace(early=0.0005, late=0.01, leaving=0.005, lead=0.06)
_COARSE = Pace(early=0.0005, late=0.2, leaving=0.05, lead=0.0, lanes=24)
_TELEGRAMS_MOST = 1_000


def pace(per_second: float) -> Pace:
    """The pace for a rate. What no bot of Telegram may do (other servers, benches) is kept coarsely: there an
    event loop is busy for longer than a punctual slot would wait."""
    return _EXACT if per_second <= _TELEGRAMS_MOST else _COARSE


@dataclass(frozen=True, slots=True)
class Bot:
    """A registered bot. `telegram_id` is Telegram's number for it; the token is only kept sealed."""

    bot_id: str
    org: str
    name: str
    telegram_id: int
    username: str | None
    token_sealed: str
    limits: BotLimits
    default: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class BotIdentity:
    """What Telegram says a token belongs to."""

    telegram_id: int
    username: str | None


def token_owner(org: str, bot_id: str) -> str:
    """Whom a sealed token belongs to: moved to another bot or organisation it cannot be opened."""
    return f"{org}/{bot_id}"
