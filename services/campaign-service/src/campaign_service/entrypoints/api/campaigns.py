"""The campaign routes."""

from typing import Annotated, cast

from contracts.events.campaign import CampaignStatus, CampaignType
from fastapi import APIRouter, Query, Response
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, Success

from campaign_service.application.create_campaign import create_campaign
from campaign_service.application.ports import CampaignQuery, SortField
from campaign_service.application.start_campaign import StartCampaign, start_campaign
from campaign_service.domain.errors import CampaignNotFound
from campaign_service.domain.search import words
from campaign_service.entrypoints.api.campaign_answers import (
    CampaignCreatedOut,
    CampaignDetail,
    CampaignList,
    ExecutionStarted,
    detail,
    row,
)
from campaign_service.entrypoints.api.campaign_requests import CampaignIn, ExecuteIn, SearchText, SortKey
from campaign_service.entrypoints.api.dependencies import PageLimit, PageNumber, Parts
from campaign_service.metrics import CREATED, STARTED

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


@router.post("", status_code=201)
async def post_campaign(
    body: CampaignIn, caller: Editor, parts: Parts, response: Response
) -> Success[CampaignCreatedOut]:
    """Create a campaign, as a draft."""
    campaign = await create_campaign(
        body.to_definition(),
        org=caller.org,
        created_by=caller.subject,
        campaigns=parts.campaigns,
        transactions=parts.transactions,
        outbox=parts.outbox,
        clock=parts.clock,
    )
    CREATED.inc()
    response.headers["ETag"] = _etag(campaign.version)
    return Success(
        data=CampaignCreatedOut(
            id=campaign.id,
            name=campaign.definition.name,
            status=campaign.status,
            message="Campaign created successfully",
        )
    )


@router.get("")
async def get_campaigns(
    caller: Viewer,
    parts: Parts,
    page: PageNumber = 1,
    limit: PageLimit = 20,
    status: CampaignStatus | None = None,
    type: CampaignType | None = None,
    sort: SortKey = "-createdAt",
    search: Annotated[SearchText | None, Query()] = None,
) -> Success[CampaignList]:
    """A page of campaigns; search matches word prefixes in name and description."""
    query = CampaignQuery(
        org=caller.org,
        page=page,
        limit=limit,
        status=status,
        type=type,
        sort=cast(SortField, sort.removeprefix("-")),
        descending=sort.startswith("-"),
        words=None if search is None else tuple(words(search)),
    )
    found = await parts.campaigns.page(query)
    return Success(
        data=CampaignList(
            campaigns=[row(campaign) for campaign in found.items],
            pagination=Pagination.of(page=page, limit=limit, total=found.total),
        )
    )


@router.get("/{campaign_id}")
async def get_campaign(
    campaign_id: str, caller: Viewer, parts: Parts, response: Response
) -> Success[CampaignDetail]:
    """A campaign, whole. The `ETag` is its version."""
    campaign = await parts.campaigns.get(caller.org, campaign_id)
    if campaign is None:
        raise CampaignNotFound
    response.headers["ETag"] = _etag(campaign.version)
    return Success(data=detail(campaign))


@router.post("/{campaign_id}/execute")
async def post_execute(
    campaign_id: str, caller: Editor, parts: Parts, body: ExecuteIn | None = None
) -> Success[ExecutionStarted]:
    """Start executing a campaign."""
    options = body or ExecuteIn()
    started = await start_campaign(
        StartCampaign(
            org=caller.org,
            campaign_id=campaign_id,
            test_mode=options.test_mode,
            target_percentage=options.target_percentage,
            priority=options.priority,
        ),
        campaigns=parts.campaigns,
        templates=parts.templates,
        preflight=parts.preflight,
        transactions=parts.transactions,
        outbox=parts.outbox,
        clock=parts.clock,
    )
    STARTED.labels(mode="test" if options.test_mode else "live").inc()
    return Success(
        data=ExecutionStarted(
            execution_id=started.execution_id,
            status="started",
            estimated_completion=started.estimated_completion,
            message="Campaign execution started",
        )
    )


def _etag(version: int) -> str:
    return f'"{version}"'
