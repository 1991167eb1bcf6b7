"""What the segments of executions' audiences mean, kept for a moment so that windows do not ask each time.

For each execution by itself, as the organisation's settings are (`recent_settings`): the first question of an
execution is asked afresh. An audience without segments is not asked about at all.
"""

import asyncio

from contracts.events.campaign import AudienceDefinition

from execution_service.application.ports_audience import SegmentFilters
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.execution import Execution
from execution_service.domain.membership import Membership

MOST = 1_000
"""Executions remembered at once."""
_Key = tuple[str, int]


class RecentSegments:
    """Of the audiences of executions; a segment's changed filter is seen within `keep_seconds`."""

    def __init__(self, segments: SegmentFilters, *, keep_seconds: float) -> None:
        self._segments = segments
        self._keep = keep_seconds
        self._known: dict[_Key, tuple[float, Membership]] = {}

    async def of(self, execution: Execution) -> Membership | None:
        """Who is in which of its audience's segments; None: there are none. Raises FieldErrors."""
        named = execution.snapshot.audience.segments
        if not named:
            return None
        key, asked_at = (execution.execution_id, execution.life), asyncio.get_running_loop().time()
        known = self._known.get(key)
        if known is not None and asked_at - known[0] < self._keep:
            return known[1]
        united = AudienceDefinition(segments=named)
        found = Membership(await resolve_rule(execution.org, united, segments=self._segments))
        if len(self._known) >= MOST:
            self._known.clear()
        self._known[key] = (asked_at, found)
        return found
