"""What delivering needs beside the queue: accelerators that may be away."""

from collections.abc import Sequence
from typing import Protocol

from webhook_service.domain.delivery import Due
from webhook_service.domain.token_bucket import Permits


class Bell(Protocol):
    """Tells deliverers at once what is due. They find it anyway, only later."""

    async def ring(self, dues: Sequence[Due]) -> None:
        """Tell them, if possible. Never raises, and never waits long."""
        ...


class RateLimiter(Protocol):
    """Requests a second, per endpoint."""

    async def take(self, endpoint_id: str, *, rate: int, wanted: int) -> Permits:
        """As many of `wanted` as may be sent now. Never raises: alone it limits what this process sends."""
        ...
