"""What execution-service says of an organisation's settings. Keyed by organisation."""

from typing import ClassVar, Literal

from pydantic import Field

from contracts.envelope import EventData, Model, UtcTime
from contracts.topics import AUDIENCE_EVENTS, Topic

TimezoneMode = Literal["recipient", "org"]
"""Whose clock quiet hours are read on: each contact's, or the organisation's for everybody."""
_TIME = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


class QuietHours(Model):
    """No messages from `from` until before `to`, `HH:MM` on a clock on the wall.

    `from` after `to` spans midnight.
    """

    from_: str = Field(alias="from", pattern=_TIME)
    to: str = Field(pattern=_TIME)


class FrequencyCap(Model):
    """At most so many messages to one contact, by all campaigns, in any so many hours."""

    messages: int = Field(ge=1)
    hours: int = Field(ge=1)


class GuardRails(Model):
    """An execution pauses by itself when more than `blocked_percent` of its last `blocked_of` answers say
    "blocked", or `equal_errors` equal errors of content come in a row.
    """

    blocked_percent: float = Field(ge=0, le=100)
    blocked_of: int = Field(ge=1)
    equal_errors: int = Field(ge=1)


class SettingsChanged(EventData):
    """All settings of the organisation as of `revision`; readers keep the highest one."""

    event_type = "settings.changed"
    topic: ClassVar[Topic] = AUDIENCE_EVENTS

    revision: int = Field(ge=1)
    cost_per_message: float = Field(ge=0, allow_inf_nan=False)
    currency: str
    frequency_cap: FrequencyCap | None = None
    quiet_hours: QuietHours | None = None
    timezone: str
    timezone_mode: TimezoneMode
    guard_rails: GuardRails
    changed_at: UtcTime
