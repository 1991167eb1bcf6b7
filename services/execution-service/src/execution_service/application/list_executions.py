"""The runs of a campaign, newest first."""

from dataclasses import dataclass

from execution_service.application.find_execution import FindExecution
from execution_service.application.ports_engine import Executions, Shards
from execution_service.domain.execution import Execution, ShardSums


@dataclass(frozen=True, slots=True)
class Run:
    """An execution and what has become of its contacts so far."""

    execution: Execution
    sums: ShardSums


@dataclass(frozen=True, slots=True)
class Runs:
    """A page of runs, and where the next one begins (None: there is none)."""

    runs: list[Run]
    next_cursor: str | None


class ListExecutions:
    """Lists executions."""

    def __init__(self, *, find: FindExecution, executions: Executions, shards: Shards) -> None:
        self._find = find
        self._executions = executions
        self._shards = shards

    async def __call__(
        self, org: str, campaign_id: str, *, deleted_too: bool, limit: int, cursor: str | None
    ) -> Runs:
        """Up to `limit` runs behind `cursor`. Raises CampaignNotFound."""
        if await self._find.latest(org, campaign_id, deleted_too=deleted_too) is None:
            return Runs([], None)
        found = await self._executions.runs(org, campaign_id, before=cursor, limit=limit + 1)
        runs = [Run(execution, await self._sums(execution)) for execution in found[:limit]]
        return Runs(runs, runs[-1].execution.execution_id if len(found) > limit else None)

    async def _sums(self, execution: Execution) -> ShardSums:
        """What a completed one came to was kept when it completed: nothing can change it."""
        totals = execution.totals
        if totals is None:
            return await self._shards.sums(execution.execution_id)
        counts = totals.model_dump(exclude={"targeted"})
        return ShardSums(totals.targeted, counts)
