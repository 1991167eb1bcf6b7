"""A process that stands on a wiring: made once the event loop runs, asked for readiness, closed at last."""

from collections.abc import Callable
from typing import Generic, TypeVar

from service_kit.wiring import ServiceWiring

W = TypeVar("W", bound=ServiceWiring)


class WiredProcess(Generic[W]):
    """`make` makes the wiring."""

    def __init__(self, make: Callable[[], W]) -> None:
        self._make = make
        self._wiring: W | None = None

    def wire(self) -> W:
        """The wiring. Call it inside the event loop, once."""
        self._wiring = self._make()
        return self._wiring

    async def ready(self) -> bool:
        """The database answers."""
        return self._wiring is not None and await self._wiring.database_answers()

    async def close(self) -> None:
        """Let go of the connections."""
        if self._wiring is not None:
            await self._wiring.close()
