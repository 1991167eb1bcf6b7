"""A conversion: what a contact did that the campaign wanted of it, by the word of an organisation's back end.

Its id is made from the organisation and the back end's own id for it, so that whoever tells of it again tells
of the same one, whatever happened to the first answer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Final

from contracts.ids import new_ulid
from ulid import ULID

from stats_service.domain.dimensions import MONEY_UNITS

MOST_VALUE: Final = 1_000_000_000
DECIMALS: Final = 4
DEFAULT_CURRENCY: Final = "USD"
"""Of an organisation whose settings were never changed; execution-service's default."""
CLOCKS_DIFFER: Final = timedelta(minutes=5)
"""What a back end's clock may be wrong by."""
OLDEST: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class FromClick:
    """The click that led to it, as its click id says."""

    execution: str
    message: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Conversion:
    """One conversion. `amount` is in `MONEY_UNITS`ths of `currency`; an erased contact is None."""

    id: str
    org: str
    campaign: str
    contact: str | None
    amount: int
    currency: str
    converted_at: datetime
    recorded_at: datetime
    external_id: str | None = None
    click: FromClick | None = None
    test_mode: bool = False

    @property
    def value(self) -> float:
        """The amount as it was told, to the last decimal."""
        return self.amount / MONEY_UNITS


def conversion_id(org: str, external_id: str | None) -> str:
    """`conv_…`: always the same for the organisation's `external_id`, a new one without."""
    if external_id is None:
        return f"conv_{new_ulid()}"
    digest = sha256(f"{org}\n{external_id}".encode()).digest()  # an organisation's name holds no newline
    return f"conv_{ULID.from_bytes(digest[:16])}"


def amount_of(value: float) -> int:
    """`value` in `MONEY_UNITS`ths, exactly. Raises ValueError with the rule that it breaks.

    The shortest decimal of the number is the one that was written: these have 14 digits, a double has 15.
    """
    told = Decimal(repr(value))
    if not told.is_finite() or not 0 <= told <= MOST_VALUE:
        raise ValueError(f"must be from 0 to {MOST_VALUE}")
    units = told * MONEY_UNITS
    if units != units.to_integral_value():
        raise ValueError(f"must have at most {DECIMALS} decimals")
    return int(units)


def time_of(told: datetime | None, *, now: datetime, click: FromClick | None) -> datetime:
    """When it happened. Raises ValueError with the rule that `told` breaks.

    A back end's clock may be behind ours: what seems to be a little before the click that led to it was at
    the click.
    """
    at = now if told is None else told
    if at > now + CLOCKS_DIFFER:
        raise ValueError("must not be in the future")
    if at < now - OLDEST:
        raise ValueError(f"must not be more than {OLDEST.days} days ago")
    if click is None or at >= click.at:
        return at
    if at < click.at - CLOCKS_DIFFER:
        raise ValueError("must not be before the click")
    return click.at
