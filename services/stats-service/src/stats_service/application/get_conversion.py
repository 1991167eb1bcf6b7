"""Show what was recorded of a conversion."""

from stats_service.application.ports_conversions import Conversions
from stats_service.domain.conversion import Conversion
from stats_service.domain.errors import ConversionNotFound


async def get_conversion(org: str, conversion: str, *, conversions: Conversions) -> Conversion:
    """The organisation's conversion. Raises ConversionNotFound."""
    found = await conversions.get(org, conversion)
    if found is None:
        raise ConversionNotFound
    return found
