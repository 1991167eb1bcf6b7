"""The routes that move a campaign through its life: execute, pause, resume, cancel, clone."""

from fastapi import APIRouter, Response
from service_kit.api.app import Editor
from service_kit.api.envelope import Success
from service_kit.api.etags import etag
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import PathId
from service_kit.ports import Transactions

from campaign_service.application.cancel_campaign import cancel_campaign
from campaign_service.application.clone_campaign import CloneCampaign, clone_campaign
from campaign_service.application.pause_campaign import pause_campaign
from campaign_service.application.resume_campaign import resume_campaign
from campaign_service.application.retry_campaign import RetryCampaign, retry_campaign
from campaign_service.application.start_campaign import StartCampaign, Started, dry_run, start_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import (
    CampaignNotFound,
    ExecutionRunning,
    InvalidTransition,
    NothingToRetry,
    VersionConflict,
)
from campaign_service.domain.execution import Options
from campaign_service.entrypoints.api.campaign_answers import (
    CampaignCancelledOut,
    CampaignCreatedOut,
    CampaignPausedOut,
    CampaignResumedOut,
    DryRunOut,
    ExecutionStarted,
)
from campaign_service.entrypoints.api.campaign_requests import CloneIn, ExecuteIn, RetryIn
from campaign_service.entrypoints.api.dependencies import Parts
from campaign_service.entrypoints.errors import INCOMPLETE, answers
from campaign_service.metrics import CREATED, STARTED

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


@router.post(
    "/{campaign_id}/execute",
    operation_id="executeCampaign",
    response_model=Success[ExecutionStarted | DryRunOut],
    responses=answers(
        CampaignNotFound,
        ExecutionRunning,
        InvalidTransition("completed", "active"),
        VersionConflict,
        INCOMPLETE,
    ),
)
async def post_execute(
    campaign_id: PathId, caller: Editor, parts: Parts, once: Once, body: ExecuteIn | None = None
) -> Response:
    """Start executing a campaign, now or at a time; or tell what that would meet (`dryRun`)."""
    options = body or ExecuteIn()
    command = StartCampaign(
        options=Options(options.target_percentage, options.priority),
        test_mode=options.test_mode,
        scheduled_at=options.scheduled_at,
    )
    if options.dry_run:
        found = await dry_run(
            caller.org,
            campaign_id,
            command,
            campaigns=parts.campaigns,
            templates=parts.templates,
            preflight=parts.preflight,
            clock=parts.clock,
        )
        predicted = DryRunOut.model_validate(found, from_attributes=True)
        return Answer(200, Success(data=predicted)).response()

    async def start(transactions: Transactions) -> Started:
        done = await start_campaign(
            caller.org,
            campaign_id,
            command,
            campaigns=parts.campaigns,
            templates=parts.templates,
            preflight=parts.preflight,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        STARTED.labels(mode="test" if command.test_mode else "live").inc()
        return done

    return await once(start, answer=_started)


@router.post(
    "/{campaign_id}/retry",
    operation_id="retryCampaign",
    response_model=Success[ExecutionStarted],
    responses=answers(
        CampaignNotFound,
        InvalidTransition("active", "active"),
        VersionConflict,
        NothingToRetry,
        INCOMPLETE,
    ),
)
async def post_retry(
    campaign_id: PathId, caller: Editor, parts: Parts, once: Once, body: RetryIn | None = None
) -> Response:
    """Execute a completed campaign again, for those who did not get it (`failed`, unless told otherwise).

    What counts is each contact's latest outcome over all runs; it goes on at the message that did not arrive.
    """
    wanted = body or RetryIn()
    codes = None if wanted.error_codes is None else tuple(dict.fromkeys(wanted.error_codes))
    command = RetryCampaign(tuple(dict.fromkeys(wanted.statuses)), codes)

    async def start(transactions: Transactions) -> Started:
        done = await retry_campaign(
            caller.org,
            campaign_id,
            command,
            campaigns=parts.campaigns,
            templates=parts.templates,
            preflight=parts.preflight,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        STARTED.labels(mode="retry").inc()
        return done

    return await once(start, answer=_started)


def _started(started: Started) -> Answer:
    return Answer(
        200,
        Success(
            data=ExecutionStarted(
                execution_id=started.execution_id,
                status=started.status,
                estimated_completion=started.estimated_completion,
                message=f"Campaign execution {started.status}",
                scheduled_at=started.scheduled_at,
            )
        ),
    )


@router.post(
    "/{campaign_id}/pause",
    operation_id="pauseCampaign",
    response_model=Success[CampaignPausedOut],
    responses=answers(
        CampaignNotFound, InvalidTransition("draft", "paused"), VersionConflict, headers=["ETag"]
    ),
)
async def post_pause(campaign_id: PathId, caller: Editor, parts: Parts, once: Once) -> Response:
    """Pause an active campaign: within two seconds nobody else is sent to."""
    return await once(
        lambda transactions: pause_campaign(
            caller.org,
            campaign_id,
            campaigns=parts.campaigns,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        answer=_paused,
    )


def _paused(campaign: Campaign) -> Answer:
    paused = CampaignPausedOut(
        status=campaign.status, message="Campaign paused successfully", paused_at=campaign.updated_at
    )
    return Answer(200, Success(data=paused), headers={"ETag": etag(campaign.version)})


@router.post(
    "/{campaign_id}/resume",
    operation_id="resumeCampaign",
    response_model=Success[CampaignResumedOut],
    responses=answers(
        CampaignNotFound, InvalidTransition("draft", "active"), VersionConflict, INCOMPLETE, headers=["ETag"]
    ),
)
async def post_resume(campaign_id: PathId, caller: Editor, parts: Parts, once: Once) -> Response:
    """Resume a paused campaign: it goes on with the contacts that were not attempted yet."""
    return await once(
        lambda transactions: resume_campaign(
            caller.org,
            campaign_id,
            campaigns=parts.campaigns,
            templates=parts.templates,
            preflight=parts.preflight,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        answer=_resumed,
    )


def _resumed(campaign: Campaign) -> Answer:
    resumed = CampaignResumedOut(
        status=campaign.status, message="Campaign resumed successfully", resumed_at=campaign.updated_at
    )
    return Answer(200, Success(data=resumed), headers={"ETag": etag(campaign.version)})


@router.post(
    "/{campaign_id}/cancel",
    operation_id="cancelCampaign",
    response_model=Success[CampaignCancelledOut],
    responses=answers(
        CampaignNotFound, InvalidTransition("completed", "cancelled"), VersionConflict, headers=["ETag"]
    ),
)
async def post_cancel(campaign_id: PathId, caller: Editor, parts: Parts, once: Once) -> Response:
    """Cancel a campaign for good: nobody else is sent to."""
    return await once(
        lambda transactions: cancel_campaign(
            caller.org,
            campaign_id,
            campaigns=parts.campaigns,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        ),
        answer=_cancelled,
    )


def _cancelled(campaign: Campaign) -> Answer:
    cancelled = CampaignCancelledOut(
        status=campaign.status, message="Campaign cancelled successfully", cancelled_at=campaign.updated_at
    )
    return Answer(200, Success(data=cancelled), headers={"ETag": etag(campaign.version)})


@router.post(
    "/{campaign_id}/clone",
    status_code=201,
    operation_id="cloneCampaign",
    response_model=Success[CampaignCreatedOut],
    responses=answers(CampaignNotFound, headers=["ETag"]),
)
async def post_clone(
    campaign_id: PathId, caller: Editor, parts: Parts, once: Once, body: CloneIn | None = None
) -> Response:
    """Create a copy of a campaign, as a draft."""
    options = body or CloneIn()

    async def clone(transactions: Transactions) -> Campaign:
        done = await clone_campaign(
            caller.org,
            campaign_id,
            CloneCampaign(options.name, options.reset_statistics),
            created_by=caller.subject,
            campaigns=parts.campaigns,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        CREATED.inc()
        return done

    return await once(clone, answer=_cloned)


def _cloned(campaign: Campaign) -> Answer:
    copy = CampaignCreatedOut(
        id=campaign.id,
        name=campaign.definition.name,
        status=campaign.status,
        message="Campaign cloned successfully",
    )
    return Answer(201, Success(data=copy), headers={"ETag": etag(campaign.version)})
