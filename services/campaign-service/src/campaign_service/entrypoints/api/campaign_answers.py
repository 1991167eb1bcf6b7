"""What campaign routes answer, and how a campaign becomes that."""

from typing import Any, Literal

from contracts.events.campaign import CampaignStatus, CampaignType, ParseMode
from service_kit.api.envelope import Pagination, ResponseModel, UtcTime

from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Channel, WorkflowTrigger
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
    """Notes for people, and which bot sends."""

    messaging: str | None
    timing: str | None
    channels: list[Channel]
    bot_id: str | None


class StatisticsOut(ResponseModel):
    """The campaign's numbers; tasks are the execution's shards."""

    total_tasks: int
    completed_tasks: int
    failed_tasks: int
    messages_sent: int
    conversions_achieved: int
    total_cost: Number


class FailureOut(ResponseModel):
    """Why the latest execution stopped as a whole."""

    code: str
    message: str


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
    created_by: str
    created_at: UtcTime
    updated_at: UtcTime


class PersonalizationOut(ResponseModel):
    """Which placeholders are filled."""

    enabled: bool
    fields: list[str] | None


class VariationOut(ResponseModel):
    """Another text for a message."""

    id: str
    content: str
    weight: Number


class MessageOut(ResponseModel):
    """One step of the campaign."""

    id: str
    template_id: str | None
    content: str | None
    parse_mode: ParseMode | None
    personalization: PersonalizationOut | None
    variations: list[VariationOut]


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
    """A campaign, whole."""

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


class ExecutionStarted(ResponseModel):
    """The answer to execute."""

    execution_id: str
    status: Literal["started"]
    estimated_completion: UtcTime
    message: str


def row(campaign: Campaign) -> CampaignRow:
    """The campaign as a list shows it."""
    return CampaignRow.model_validate(_row_values(campaign), from_attributes=True)


def detail(campaign: Campaign) -> CampaignDetail:
    """The campaign as GET by id shows it."""
    definition = campaign.definition
    running = "running" if campaign.status == "active" else campaign.status
    values = _row_values(campaign) | {
        "messages": definition.messages,
        "workflow": definition.workflow,
        "ab_tests": [{"id": test.id, "name": test.name, "status": running} for test in definition.ab_tests],
    }
    return CampaignDetail.model_validate(values, from_attributes=True)


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
        "statistics": campaign.statistics,
        "failure": campaign.failure,
        "created_by": campaign.created_by,
        "created_at": campaign.created_at,
        "updated_at": campaign.updated_at,
    }
