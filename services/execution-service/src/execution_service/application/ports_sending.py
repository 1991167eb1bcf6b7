"""What sending needs of the world: bots, Telegram, the limiter."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.events.campaign import ParseMode

from execution_service.domain.execution import BotRef
from execution_service.domain.outcomes import Final, SendResult

GRANT_SECONDS = 0.25
"""The slots of one grant span at most so long."""


class LimiterUnavailable(Exception):
    """The limiter does not answer: nothing may be sent."""


class ChatMoves(Protocol):
    """Telegram gives a group a new chat id when it grows."""

    async def move(self, org: str, contact_id: str, *, before: int, after: int) -> None:
        """Note the new id, unless the contact has been changed since."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """A bot ready to send. `per_second` is its limit in messages."""

    bot: BotRef
    token: str
    per_second: float


class Senders(Protocol):
    """The organisation's bots."""

    async def resolve(self, org: str, bot_id: str | None) -> BotRef | None:
        """The bot asked for, or the default one; None when there is none."""
        ...

    async def open(self, org: str, bot_id: str) -> Sender | None:
        """The bot with its token; None when it is gone."""
        ...


class BotWaits(Protocol):
    """Until when a Telegram bot must be silent, kept durably."""

    async def until(self, telegram_id: int) -> datetime | None:
        """The end of the wait; it may lie in the past."""
        ...

    async def extend(self, telegram_id: int, until: datetime) -> None:
        """Wait at least until then."""
        ...


@dataclass(frozen=True, slots=True)
class Grant:
    """Slots on the event loop's clock, evenly spaced; without any, ask again after `wait` seconds."""

    slots: Sequence[float]
    wait: float = 0


class Limiter(Protocol):
    """Hands out every Telegram bot's rate, across all workers."""

    async def reserve(
        self, telegram_id: int, *, per_second: float, wanted: int, share: str, weight: int
    ) -> Grant:
        """Up to `wanted` slots. Raises LimiterUnavailable.

        Sharers (executions, by id) that compete for a bot get its rate in proportion to their weights.
        """
        ...

    async def block(self, telegram_id: int, seconds: float) -> None:
        """No slots for so long. Raises LimiterUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a contact will read."""

    text: str
    parse_mode: ParseMode


class BotApi(Protocol):
    """Telegram."""

    async def send(self, token: str, chat_id: int, rendered: Rendered) -> SendResult:
        """Send one message, once. Never raises but on cancellation."""
        ...


class Observer(Protocol):
    """Takes note of what happens, for the metrics."""

    def sent(self, result: str, seconds: float) -> None:
        """One request was answered (or not)."""
        ...

    def recorded(self, finals: Sequence[Final], *, back: int) -> None:
        """A window was stored."""
        ...

    def rate_limited(self) -> None:
        """Telegram answered 429."""
        ...

    def lease_lost(self) -> None:
        """A lease turned out to be another's."""
        ...

    def limiter_waited(self, seconds: float) -> None:
        """A runner waited for its turn."""
        ...

    def slots_missed(self, count: int) -> None:
        """So many slots went by unused because this process was late."""
        ...
