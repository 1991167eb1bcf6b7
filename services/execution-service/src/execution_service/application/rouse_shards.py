"""Let changed rules be noticed by shards that wait for hours which the former rules set.

Mental model: no event, a comparison. What a shard waits for has the edition of the rules that it was found
by; where that is older than what holds now, the shard is made due and a worker finds it anew. So it does not
matter when a change was stored, who had read the settings just before, or who died in between. Looked at
every few seconds, by an index that leads past all that is current.
"""

from service_kit.clock import Clock

from execution_service.application.ports_engine import Executions, Shards
from execution_service.application.ports_settings import RunSettings
from execution_service.domain.quiet_hours import edition_of


class RouseShards:
    """Looks at all executions underway."""

    def __init__(
        self, *, executions: Executions, shards: Shards, settings: RunSettings, clock: Clock
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._settings = settings
        self._clock = clock

    async def sweep(self) -> None:
        """Make those due whose rules have changed. Doing so once too often is harmless."""
        for standing in await self._executions.underway():
            edition = edition_of(standing.life, await self._settings.of(standing.org, standing.execution_id))
            await self._shards.rouse(standing.execution_id, edition, due=self._clock.now())
