"""What conversions need of the world, beside `ports`."""

from typing import Protocol

from service_kit.ports import Tx

from stats_service.domain.conversion import Conversion


class ConversionExists(Exception):
    """Somebody else has just recorded it, or is erasing its contact: begin again, and find it."""


class Conversions(Protocol):
    """The conversions that were told of, for ever."""

    async def get(self, org: str, conversion: str) -> Conversion | None:
        """The organisation's conversion of this id."""
        ...

    async def add(self, tx: Tx, conversion: Conversion) -> Conversion:
        """Store it, without its contact if that was erased; what is stored. Raises ConversionExists."""
        ...


class Currencies(Protocol):
    """What organisations count money in."""

    async def currency_of(self, org: str) -> str:
        """The organisation's currency; the default while no event told of its settings."""
        ...
