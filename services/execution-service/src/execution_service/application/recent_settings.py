"""Settings of organisations, kept for a moment so that windows do not ask each time.

For each execution by itself: the first question of an execution is asked afresh, so one that is started after
a change was acknowledged never goes by what held before.
"""

import asyncio

from execution_service.application.ports_settings import StoredSettings
from execution_service.domain.org_settings import OrgSettings

MOST = 10_000
"""Executions remembered at once."""


class RecentSettings:
    """The port `RunSettings` over what is stored; a change is seen within `keep_seconds`."""

    def __init__(self, settings: StoredSettings, *, keep_seconds: float) -> None:
        self._settings = settings
        self._keep = keep_seconds
        self._known: dict[str, tuple[float, OrgSettings]] = {}

    async def of(self, org: str, execution_id: str) -> OrgSettings:
        """What held for `org` at most `keep_seconds` ago; afresh when the execution is new here."""
        asked_at = asyncio.get_running_loop().time()
        known = self._known.get(execution_id)
        if known is not None and asked_at - known[0] < self._keep:
            return known[1]
        found = await self._settings.of(org)
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[execution_id] = (asked_at, found)
        return found
