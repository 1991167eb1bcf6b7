"""Settings of organisations, kept for a moment so that windows do not ask each time."""

import asyncio

from execution_service.application.ports_settings import Settings
from execution_service.domain.org_settings import OrgSettings

MOST = 10_000
"""Organisations remembered at once."""


class RecentSettings:
    """The port `Settings` over another one; a change is seen within `keep_seconds`."""

    def __init__(self, settings: Settings, *, keep_seconds: float) -> None:
        self._settings = settings
        self._keep = keep_seconds
        self._known: dict[str, tuple[float, OrgSettings]] = {}

    async def of(self, org: str) -> OrgSettings:
        """What held for `org` at most `keep_seconds` ago."""
        asked_at = asyncio.get_running_loop().time()
        known = self._known.get(org)
        if known is not None and asked_at - known[0] < self._keep:
            return known[1]
        found = await self._settings.of(org)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[org] = (asked_at, found)
        return found
