"""What campaign routes answer, and how a campaign becomes that."""

from typing import Any, Literal

from contracts.events.campaign import CampaignStatus, CampaignType
from contracts.events.settings import TimezoneMode
from service_kit.api.envelope import Pagination, ResponseModel, UtcTime
from service_kit.api.quiet_hours import QuietHoursOut

from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Channel, UnknownDelivery, WorkflowTrigger
from campaign_service.entrypoints.api.message_answers import MessageOut
from campaign_service.entrypoints.api.values import Number


class GoalsOut(ResponseModel):
    """What the campaign hopes for."""

    target_audience: int | None
    conversion_rate: Number | None
    revenue: Number | None


class TargetAudienceOut(ResponseModel):
    """Who is addressed; `totalCount` is the audience's size as last estimated."""

    segments: list[str]
    total_count: int


class StrategyOut(ResponseModel):
    """Notes for people, and which bot sends, or which bots share the contacts."""

    messaging: str | None
    timing: str | None
    channels: list[Channel]
    bot_id: str | None
    bot_ids: list[str]
    allow_paid_broadcast: bool
    unknown_delivery: UnknownDelivery
    quiet_hours: QuietHoursOut | None
    timezone_mode: TimezoneMode | None


class StatisticsOut(ResponseModel):
    """The campaign's numbers; tasks are the execution's shards."""

    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    messages_sent: int
    conversions_achieved: int
    total_cost: Number


class FailureOut(ResponseModel):
    """Why the latest execution stopped as a whole, or was paused though nobody asked for it."""

    code: str
    message: str


class TargetAudienceDetail(TargetAudienceOut):
    """Who is addressed, whole."""

    filters: dict[str, Any] | None
    exclude_segments: list[str]


class CampaignRow(ResponseModel):
    """A campaign in a list."""

    id: str
    name: str
    description: str | None
    type: CampaignType
    status: CampaignStatus
    goals: GoalsOut | None
    target_audience: TargetAudienceOut
    strategy: StrategyOut | None
    budget: Number | None
    start_date: UtcTime | None
    end_date: UtcTime | None
    statistics: StatisticsOut
    failure: FailureOut | None
    pause_reason: FailureOut | None
    scheduled_at: UtcTime | None
    created_by: str
    created_at: UtcTime
    updated_at: UtcTime


class WorkflowOut(ResponseModel):
    """How executions may be set off."""

    id: str
    name: str
    triggers: list[WorkflowTrigger]


class AbTestOut(ResponseModel):
    """A comparison; `status` follows the campaign: running while it is active."""

    id: str
    name: str
    status: Literal["draft", "running", "paused", "completed", "cancelled"]


class CampaignDetail(CampaignRow):
    """A campaign, whole. `baseline`: what `statistics` began with, when it was cloned with its numbers."""

    target_audience: TargetAudienceDetail
    baseline: StatisticsOut | None
    messages: list[MessageOut]
    workflow: WorkflowOut | None
    ab_tests: list[AbTestOut]


class CampaignList(ResponseModel):
    """A page of campaigns."""

    campaigns: list[CampaignRow]
    pagination: Pagination


class CampaignCreatedOut(ResponseModel):
    """The answer to creating a campaign."""

    id: str
    name: str
    status: CampaignStatus
    message: str


class CampaignUpdatedOut(CampaignDetail):
    """The answer to an update: the campaign as it is now."""

    message: str


class ExecutionStarted(ResponseModel):
    """The answer to execute. `scheduledAt` is there when it waits for its time."""

    execution_id: str
    status: Literal["started", "scheduled"]
    estimated_completion: UtcTime
    message: str
    scheduled_at: UtcTime | None = None


class DryRunOut(ResponseModel):
    """The answer to execute with `dryRun`: what the execution would come to, begun now or at `scheduledAt`.

    `suppressed`: how many of those meant would not get all of it, by the code that they would have in
    `/recipients`. `estimatedCost` is `costPerMessage` times the messages that would be sent.
    Exact for audiences of up to 20,000 contacts (and 40,000 messages), estimated from 10,000 beyond.
    """

    dry_run: Literal[True] = True
    total_count: int
    suppressed: dict[str, int]
    estimated_duration_seconds: int
    estimated_cost: Number


class CampaignPausedOut(ResponseModel):
    """The answer to pause."""

    status: CampaignStatus
    message: str
    paused_at: UtcTime


class CampaignResumedOut(ResponseModel):
    """The answer to resume."""

    status: CampaignStatus
    message: str
    resumed_at: UtcTime


class CampaignCancelledOut(ResponseModel):
    """The answer to cancel."""

    status: CampaignStatus
    message: str
    cancelled_at: UtcTime


class Deleted(ResponseModel):
    """The answer to delete."""

    message: str


def row(campaign: Campaign) -> CampaignRow:
    """The campaign as a list shows it."""
    return CampaignRow.model_validate(_row_values(campaign), from_attributes=True)


def detail(campaign: Campaign) -> CampaignDetail:
    """The campaign as GET by id shows it."""
    return CampaignDetail.model_validate(_detail_values(campaign), from_attributes=True)


def updated(campaign: Campaign) -> CampaignUpdatedOut:
    """The campaign as PUT shows it."""
    values = _detail_values(campaign) | {"message": "Campaign updated successfully"}
    return CampaignUpdatedOut.model_validate(values, from_attributes=True)


def _detail_values(campaign: Campaign) -> dict[str, Any]:
    definition = campaign.definition
    running = "running" if campaign.status == "active" else campaign.status
    audience = definition.target_audience
    return _row_values(campaign) | {
        "target_audience": {
            "segments": audience.segments,
            "filters": audience.filters,
            "exclude_segments": audience.exclude_segments,
            "total_count": campaign.total_count,
        },
        "baseline": campaign.baseline,
        "messages": definition.messages,
        "workflow": definition.workflow,
        "ab_tests": [{"id": test.id, "name": test.name, "status": running} for test in definition.ab_tests],
    }


def _row_values(campaign: Campaign) -> dict[str, Any]:
    definition = campaign.definition
    return {
        "id": campaign.id,
        "name": definition.name,
        "description": definition.description,
        "type": definition.type,
        "status": campaign.status,
        "goals": definition.goals,
        "target_audience": {
            "segments": definition.target_audience.segments,
            "total_count": campaign.total_count,
        },
        "strategy": definition.strategy,
        "budget": definition.budget,
        "start_date": definition.start_date,
        "end_date": definition.end_date,
        "statistics": campaign.shown_statistics,
        "failure": campaign.failure,
        "pause_reason": campaign.pause_reason,
        "scheduled_at": campaign.scheduled_at,
        "created_by": campaign.created_by,
        "created_at": campaign.created_at,
        "updated_at": campaign.updated_at,
    }
