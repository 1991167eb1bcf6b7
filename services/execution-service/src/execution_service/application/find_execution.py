"""The execution that a client asks about: the campaign's latest one, or the one it names."""

from service_kit.clock import Clock

from execution_service.application.await_young import await_young
from execution_service.application.ports_engine import Executions
from execution_service.domain.errors_engine import CampaignNotFound, ExecutionNotFound
from execution_service.domain.execution import Execution


class FindExecution:
    """Looks executions up. `wait_seconds`: how long to wait for a campaign that was created just now."""

    def __init__(self, executions: Executions, *, clock: Clock, wait_seconds: float) -> None:
        self._executions = executions
        self._clock = clock
        self._wait = wait_seconds

    async def __call__(
        self, org: str, campaign_id: str, execution_id: str | None, *, deleted_too: bool
    ) -> Execution | None:
        """None when the campaign has not been executed. Raises CampaignNotFound, ExecutionNotFound.

        `deleted_too`: also when the campaign has been deleted.
        """
        latest = await self.latest(org, campaign_id, deleted_too=deleted_too)
        if execution_id is None:
            return latest
        found = await self._executions.get(execution_id)
        if found is None or found.org != org or found.campaign_id != campaign_id:
            raise ExecutionNotFound
        return found

    async def latest(self, org: str, campaign_id: str, *, deleted_too: bool) -> Execution | None:
        """The campaign's latest. Raises CampaignNotFound."""

        async def look() -> tuple[Execution | None] | None:
            known, execution = await self._executions.latest(org, campaign_id, deleted_too=deleted_too)
            return (execution,) if known else None

        found = await await_young(campaign_id, look, clock=self._clock, seconds=self._wait)
        if found is None:
            raise CampaignNotFound
        return found[0]
