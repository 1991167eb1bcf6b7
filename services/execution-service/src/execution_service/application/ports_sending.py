"""What sending needs of the world: bots, Telegram, the limiter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from contracts.events.campaign import Media, ParseMode

from execution_service.domain.bot import BotLimits
from execution_service.domain.contact import Addressee
from execution_service.domain.execution import BotRef, Execution
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


class Audience(Protocol):
    """The contacts of an organisation."""

    async def addressees(
        self, org: str, ids: Sequence[str], fields: frozenset[str]
    ) -> Mapping[str, Addressee]:
        """Those of `ids` that exist, by id, with these `fields` (`firstName`, `attributes.city`)."""
        ...


@dataclass(frozen=True, slots=True)
class Sender:
    """A bot ready to send."""

    bot: BotRef
    token: str
    limits: BotLimits


class Senders(Protocol):
    """The organisation's bots."""

    async def resolve(self, org: str, bot_ids: Sequence[str]) -> tuple[BotRef, ...]:
        """The bots asked for, or the default one; nothing when one of them is missing."""
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
class Sharer:
    """An execution that asks for a bot's slots. Those that compete share its rate by their weights.

    `paid`: its messages are paid for, and have a rate of their own.
    """

    telegram_id: int
    limits: BotLimits
    paid: bool
    share: str
    weight: int

    @classmethod
    def of(cls, execution: Execution, sender: Sender) -> "Sharer":
        """`execution`, sending with `sender`; a bot that may not pay sends unpaid."""
        paid = execution.snapshot.allow_paid_broadcast and sender.limits.paid_per_second > 0
        return cls(sender.bot.telegram_id, sender.limits, paid, execution.execution_id, execution.weight)

    @property
    def rate(self) -> int:
        """Messages a second that the bot may send like this, in all."""
        return self.limits.rate(paid=self.paid)


@dataclass(frozen=True, slots=True)
class Slot:
    """A message may be dispatched `at` this time of the event loop, and not after `until`.

    Where the limiter's clock is not known well enough, `until` comes before `at`: nobody can use the slot.
    `mark` is the limiter's name for it.
    """

    at: float
    until: float
    mark: float


@dataclass(frozen=True, slots=True)
class Deferred:
    """Its chat has got, or will get, a message too shortly before: ask again `at` this time."""

    at: float


@dataclass(frozen=True, slots=True)
class Grant:
    """What the first of the letters asked for get, in their order; without any, ask again after `wait` s."""

    turns: Sequence[Slot | Deferred]
    wait: float = 0

    @property
    def slots(self) -> list[Slot]:
        """Of those that may be sent."""
        return [turn for turn in self.turns if isinstance(turn, Slot)]


class Limiter(Protocol):
    """Hands out every Telegram bot's rate, across all workers, and keeps each chat's."""

    async def reserve(self, sharer: Sharer, chats: Sequence[int], *, missed: Sequence[Slot] = ()) -> Grant:
        """Slots for letters to `chats`, or for as many of the first as there are. Raises LimiterUnavailable.

        `missed`: the slots, one for each of `chats`, that went by unused: they do not stand in their way.
        """
        ...

    async def block(self, telegram_id: int, seconds: float) -> None:
        """No slots for so long. Raises LimiterUnavailable."""
        ...


@dataclass(frozen=True, slots=True)
class LinkButton:
    """A button as Telegram takes it."""

    text: str
    url: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a contact will read: a text, or media with the text as caption; and buttons, row by row."""

    text: str
    parse_mode: ParseMode
    media: Media | None = None
    keyboard: Sequence[Sequence[LinkButton]] = ()


class BotApi(Protocol):
    """Telegram."""

    async def send(self, token: str, chat_id: int, rendered: Rendered, *, paid: bool) -> SendResult:
        """Send one message, once, paid for or not. Never raises but on cancellation."""
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
