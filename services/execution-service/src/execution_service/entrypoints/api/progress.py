"""/campaigns/:id/progress and /campaigns/:id/recipients: how far it is, and who got what."""

from typing import Annotated

from fastapi import APIRouter, Query
from service_kit.api.app import Viewer
from service_kit.api.envelope import ResponseModel, Success, UtcTime
from service_kit.api.types import PathId
from service_kit.auth import Role

from execution_service.application.ports_ledger_pages import LedgerRow
from execution_service.application.show_progress import Recipients, ShowProgress
from execution_service.domain.errors_engine import CampaignNotFound, CursorInvalid, ExecutionNotFound
from execution_service.domain.outcomes import Status
from execution_service.domain.progress import Progress, ProgressStatus
from execution_service.entrypoints.errors import answers

ExecutionId = Annotated[
    str | None, Query(alias="executionId", max_length=128, description="This execution, not the latest one.")
]


class ProgressNumbers(ResponseModel):
    """Contacts: total = processed + pending; processed = successful + failed + skipped + unknown."""

    percentage: int
    processed: int
    total: int
    successful: int
    failed: int
    skipped: int
    unknown: int
    pending: int


class ErrorOut(ResponseModel):
    """Why so many contacts did not get it: failed, skipped and unknown ones alike."""

    code: str
    count: int
    message: str


class FailureOut(ResponseModel):
    """Why the execution as a whole could not go on."""

    code: str
    message: str


class WaitingOut(ResponseModel):
    """Contacts of a running execution that wait for their hours, the first until `until` (null: nobody)."""

    count: int
    until: UtcTime | None


class ProgressOut(ResponseModel):
    """`currentRate` is messages a minute over the last minute; 0 when nothing runs."""

    status: ProgressStatus
    progress: ProgressNumbers
    current_rate: int
    estimated_completion: UtcTime | None
    waiting: WaitingOut
    errors: list[ErrorOut]
    execution_id: str | None
    test_mode: bool
    failure: FailureOut | None


class RecipientOut(ResponseModel):
    """`messageId` is the campaign's message; `telegramMessageId` the one that Telegram made of it."""

    contact_id: str
    step: int
    status: Status
    error_code: str | None
    variation_id: str | None
    message_id: str
    telegram_message_id: int | None
    at: UtcTime


class RecipientsOut(ResponseModel):
    """A page; `counts` (the execution's contacts by outcome) comes with the first one."""

    execution_id: str | None
    recipients: list[RecipientOut]
    next_cursor: str | None
    counts: dict[Status, int] | None


def progress_router(show: ShowProgress) -> APIRouter:
    """The routes over `show`."""
    router = APIRouter(tags=["campaigns"])

    @router.get(
        "/campaigns/{campaign_id}/progress",
        operation_id="getCampaignProgress",
        responses=answers(CampaignNotFound, ExecutionNotFound),
    )
    async def progress(
        campaign_id: PathId, caller: Viewer, execution_id: ExecutionId = None
    ) -> Success[ProgressOut]:
        """Progress of the latest execution, or of `executionId`; of a deleted campaign for admins only."""
        deleted_too = caller.role == Role.ADMIN
        shown = await show.progress(caller.org, campaign_id, execution_id, deleted_too=deleted_too)
        return Success(data=progress_out(shown))

    @router.get(
        "/campaigns/{campaign_id}/recipients",
        operation_id="listCampaignRecipients",
        responses=answers(CursorInvalid, CampaignNotFound, ExecutionNotFound),
    )
    async def recipients(
        campaign_id: PathId,
        caller: Viewer,
        execution_id: ExecutionId = None,
        status: Annotated[Status | None, Query(description="Only those with this outcome.")] = None,
        error_code: Annotated[
            str | None, Query(alias="errorCode", max_length=64, description="Only those with this code.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=1000, description="Rows per page.")] = 100,
        cursor: Annotated[
            str | None, Query(max_length=64, description="`nextCursor` of the page before.")
        ] = None,
    ) -> Success[RecipientsOut]:
        """Who got it, who did not and why, from the ledger; of a deleted campaign for admins only."""
        page = await show.recipients(
            caller.org,
            campaign_id,
            execution_id,
            deleted_too=caller.role == Role.ADMIN,
            status=status,
            code=error_code,
            limit=limit,
            cursor=cursor,
        )
        return Success(data=_page(page))

    return router


def progress_out(shown: Progress) -> ProgressOut:
    """As clients see it."""
    execution, totals = shown.execution, shown.sums.totals()
    failure = execution.failure if execution else None
    return ProgressOut(
        status=shown.status,
        progress=ProgressNumbers(
            percentage=shown.percentage,
            processed=shown.sums.processed,
            total=totals.targeted,
            successful=totals.successful,
            failed=totals.failed,
            skipped=totals.skipped,
            unknown=totals.unknown,
            pending=shown.pending,
        ),
        current_rate=shown.rate,
        estimated_completion=shown.estimated_completion,
        waiting=WaitingOut(count=shown.waiting.count, until=shown.waiting.until),
        errors=[ErrorOut(code=item.code, count=item.count, message=item.message) for item in shown.errors],
        execution_id=execution.execution_id if execution else None,
        test_mode=execution.test_mode if execution else False,
        failure=FailureOut(code=failure[0], message=failure[1]) if failure else None,
    )


def _page(page: Recipients) -> RecipientsOut:
    return RecipientsOut(
        execution_id=page.execution_id,
        recipients=[_recipient(item) for item in page.recipients],
        next_cursor=page.next_cursor,
        counts=dict(page.counts) if page.counts is not None else None,
    )


def _recipient(row: LedgerRow) -> RecipientOut:
    return RecipientOut(
        contact_id=row.contact_id,
        step=row.step,
        status=row.status,
        error_code=row.error_code,
        variation_id=row.variation_id,
        message_id=row.message,
        telegram_message_id=row.message_id,
        at=row.at,
    )
