"""What the processes of this service have in common."""

import sys

from pydantic import ValidationError

from webhook_service.bootstrap import Wiring
from webhook_service.settings import Settings


class Process:
    """One process on its way up: its settings, its wiring once the loop runs, and its health."""

    def __init__(self) -> None:
        try:
            self.settings = Settings()
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, item['loc'])).upper() or 'settings'}: {item['msg']}"
                for item in error.errors()
            )
            sys.exit(f"webhook-service cannot start: {problems}")
        self._wiring: Wiring | None = None

    async def wire(self) -> Wiring:
        """The wiring, its indexes made."""
        self._wiring = Wiring(self.settings)
        await self._wiring.prepare()
        return self._wiring

    async def ready(self) -> bool:
        """The database answers."""
        return self._wiring is not None and await self._wiring.database_answers()

    async def close(self) -> None:
        """Let go of what was wired."""
        if self._wiring is not None:
            await self._wiring.close()
