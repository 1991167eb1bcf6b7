"""What a campaign is to do: plain values, as the client gave them. None means: not decided yet."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from contracts.events.campaign import CampaignType, MediaType, ParseMode
from contracts.events.settings import TimezoneMode

Channel = Literal["telegram"]
WorkflowTrigger = Literal["manual", "scheduled"]
UnknownDelivery = Literal["skip", "retry"]


@dataclass(frozen=True, slots=True)
class Goals:
    """What the campaign hopes for: contacts, percent, money."""

    target_audience: int | None = None
    conversion_rate: float | None = None
    revenue: float | None = None


@dataclass(frozen=True, slots=True)
class TargetAudience:
    """Who is addressed: the union of the segments, without the excluded ones, where the filters match.

    `filters` as in the contract: JSON values by contact field or attribute.
    """

    segments: tuple[str, ...] = ()
    filters: Mapping[str, Any] | None = None
    exclude_segments: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether it says nothing about whom to address."""
        return not self.segments and not self.filters


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No messages from `from_` until before `to`: `HH:MM` on a clock on the wall."""

    from_: str
    to: str


@dataclass(frozen=True, slots=True)
class Strategy:
    """Notes for people (`messaging`, `timing`), and which bot sends, or which bots share the contacts.

    `unknown_delivery`: what becomes of a message that Telegram gave no answer to.
    `quiet_hours`, `timezone_mode`: None means the organisation's.
    """

    messaging: str | None = None
    timing: str | None = None
    channels: tuple[Channel, ...] = ()
    bot_id: str | None = None
    bot_ids: tuple[str, ...] = ()
    allow_paid_broadcast: bool = False
    unknown_delivery: UnknownDelivery = "skip"
    quiet_hours: QuietHours | None = None
    timezone_mode: TimezoneMode | None = None

    @property
    def bots(self) -> tuple[str, ...]:
        """Those named; nobody means the organisation's default one."""
        return (self.bot_id,) if self.bot_id else self.bot_ids


@dataclass(frozen=True, slots=True)
class Variation:
    """Another text for a message; `weight` is its share in percent."""

    id: str
    content: str
    weight: float


@dataclass(frozen=True, slots=True)
class Personalization:
    """Which placeholders are filled: all when `fields` is None."""

    enabled: bool = True
    fields: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Media:
    """What a message shows beside its text, which is then its caption."""

    type: MediaType
    url: str


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message; `text` may hold placeholders, `url` only that of the click's id."""

    text: str
    url: str


Buttons = tuple[tuple[Button, ...], ...]
"""Rows of them."""


@dataclass(frozen=True, slots=True)
class Message:
    """One step of the campaign: its own text, media and buttons, or a template's. No buttons: `()`."""

    id: str
    template_id: str | None = None
    content: str | None = None
    parse_mode: ParseMode | None = None
    personalization: Personalization | None = None
    media: Media | None = None
    buttons: Buttons | None = None
    variations: tuple[Variation, ...] = ()


@dataclass(frozen=True, slots=True)
class Workflow:
    """How executions may be set off."""

    id: str
    name: str
    triggers: tuple[WorkflowTrigger, ...] = ()


@dataclass(frozen=True, slots=True)
class AbTest:
    """A name for the comparison that the variations make."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Definition:
    """All that a client decides about a campaign. Times are UTC."""

    name: str
    description: str | None = None
    type: CampaignType = "message"
    goals: Goals | None = None
    target_audience: TargetAudience = TargetAudience()
    strategy: Strategy | None = None
    messages: tuple[Message, ...] = ()
    workflow: Workflow | None = None
    ab_tests: tuple[AbTest, ...] = ()
    budget: float | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
