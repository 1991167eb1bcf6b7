"""A Telegram bot that an organisation sends with."""

import re
from dataclasses import dataclass
from datetime import datetime

TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{3,128}")
"""Telegram's form: the bot's numeric id, a colon, a secret."""


@dataclass(frozen=True, slots=True)
class BotLimits:
    """What Telegram lets the bot do: messages a second, per chat a second, per group a minute.

    Source: https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
    """

    per_second: int = 30
    per_chat_per_second: int = 1
    per_group_per_minute: int = 20


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
