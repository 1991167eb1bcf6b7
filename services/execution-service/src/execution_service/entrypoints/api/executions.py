"""/campaigns/:id/executions: the runs of a campaign."""

from typing import Annotated, Literal, cast

from fastapi import APIRouter, Query
from service_kit.api.app import Viewer
from service_kit.api.envelope import ResponseModel, Success, UtcTime
from service_kit.api.types import PathId
from service_kit.auth import Role

from execution_service.application.list_executions import ListExecutions, Run
from execution_service.domain.errors_engine import CampaignNotFound
from execution_service.domain.progress import shown_status
from execution_service.entrypoints.api.paging import Limit
from execution_service.entrypoints.api.progress import FailureOut
from execution_service.entrypoints.errors import answers

RunStatus = Literal["scheduled", "running", "paused", "completed", "failed", "cancelled"]


class ExecutionOut(ResponseModel):
    """A run: targeted = successful + failed + skipped + unknown + pending, in contacts.

    `retry_of`: it is a retry, and that was the latest run before it. `started_at` is null while it waits for
    its time, `finished_at` until it has ended.
    """

    execution_id: str
    status: RunStatus
    test_mode: bool
    retry_of: str | None
    created_at: UtcTime
    started_at: UtcTime | None
    finished_at: UtcTime | None
    failure: FailureOut | None
    targeted: int
    successful: int
    failed: int
    skipped: int
    unknown: int
    pending: int


class ExecutionsOut(ResponseModel):
    """A page of runs, newest first."""

    executions: list[ExecutionOut]
    next_cursor: str | None


def executions_router(list_executions: ListExecutions) -> APIRouter:
    """The route over `list_executions`."""
    router = APIRouter(tags=["campaigns"])

    @router.get(
        "/campaigns/{campaign_id}/executions",
        operation_id="listCampaignExecutions",
        responses=answers(CampaignNotFound),
    )
    async def executions(
        campaign_id: PathId,
        caller: Viewer,
        limit: Limit = 20,
        cursor: Annotated[
            str | None, Query(max_length=128, description="`nextCursor` of the page before.")
        ] = None,
    ) -> Success[ExecutionsOut]:
        """The campaign's runs, tests and retries among them; of a deleted campaign for admins only."""
        found = await list_executions(
            caller.org,
            campaign_id,
            deleted_too=caller.role == Role.ADMIN,
            limit=limit,
            cursor=cursor,
        )
        runs = [_execution(run) for run in found.runs]
        return Success(data=ExecutionsOut(executions=runs, next_cursor=found.next_cursor))

    return router


def _execution(run: Run) -> ExecutionOut:
    execution, totals = run.execution, run.sums.totals()
    failure = execution.failure
    return ExecutionOut(
        execution_id=execution.execution_id,
        status=cast(RunStatus, shown_status(execution)),
        test_mode=execution.test_mode,
        retry_of=execution.retry.of if execution.retry else None,
        created_at=execution.created_at,
        started_at=execution.started_at,
        finished_at=execution.finished_at,
        failure=FailureOut(code=failure[0], message=failure[1]) if failure else None,
        pending=run.sums.targeted - run.sums.processed,
        **totals.model_dump(),
    )
