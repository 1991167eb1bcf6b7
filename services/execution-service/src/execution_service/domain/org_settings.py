"""What an organisation has decided for all its campaigns.

An organisation that never set anything has the defaults, as version 0. Money is a number without a unit: the
currency is a name beside it.
"""

import math
from dataclasses import dataclass, field
from datetime import datetime, time
from fractions import Fraction
from typing import Literal

TimezoneMode = Literal["recipient", "org"]
"""Whose clock quiet hours are read on: each contact's, or the organisation's for everybody."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """No messages from `from_` until before `to`, on a clock on the wall.

    `from_` after `to` spans midnight; when they are equal there are no quiet hours.
    """

    from_: time
    to: time


@dataclass(frozen=True, slots=True)
class FrequencyCap:
    """At most so many messages to one contact, by all campaigns, in any so many hours."""

    messages: int
    hours: int


@dataclass(frozen=True, slots=True)
class GuardRails:
    """When an execution is held by itself.

    More than `blocked_percent` of its last `blocked_of` answers say that the bot is blocked, or its last
    `equal_errors` answers are all the same refusal of the content.
    """

    blocked_percent: float = 10
    blocked_of: int = 500
    equal_errors: int = 20


@dataclass(frozen=True, slots=True)
class OrgSettings:
    """The settings of `org`. `version` grows with each change; 0: these are the defaults."""

    org: str
    cost_per_message: float = 0
    currency: str = "USD"
    frequency_cap: FrequencyCap | None = None
    quiet_hours: QuietHours | None = None
    timezone: str = "UTC"
    timezone_mode: TimezoneMode = "recipient"
    guard_rails: GuardRails = field(default_factory=GuardRails)
    updated_at: datetime | None = None
    version: int = 0


def affordable(budget: float, cost_per_message: float) -> int | None:
    """How many messages `budget` pays for; None: any number, for they cost nothing.

    The numbers are taken for the decimals that they were written as, and divided exactly: 0.3 pays for three
    messages of 0.1, and never for more than it is worth.
    """
    if cost_per_message <= 0:
        return None
    return math.floor(_exact(budget) / _exact(cost_per_message))


def cost_of(messages: int, cost_per_message: float) -> float:
    """What so many messages cost: the nearest number to the exact product."""
    return float(messages * _exact(cost_per_message))


def _exact(number: float) -> Fraction:
    return Fraction(repr(number))
