"""What the processes of this service share. Only the bootstrap modules wire; nothing connects at import.

Each process has a module of its own, so that it imports nothing that only another one needs.
"""

import stamina
from service_kit.mongo.client import is_unavailable
from service_kit.wiring import ServiceWiring

SERVICE = "campaign-service"
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=3).on(
    is_unavailable
)
"""Calls until the database answers: a process does not die because a dependency starts later than it."""


class Process:
    """What the processes have in common: wiring that is made inside the event loop, readiness, the end."""

    def __init__(self) -> None:
        self.wiring: ServiceWiring | None = None

    async def ready(self) -> bool:
        """The database answers."""
        return self.wiring is not None and await self.wiring.database_answers()

    async def close(self) -> None:
        """Let go of the connections."""
        if self.wiring is not None:
            await self.wiring.close()
