"""The routes of campaigns as documents: create, list, get, update, delete."""

from typing import Annotated, cast

from contracts.events.campaign import CampaignStatus, CampaignType
from fastapi import APIRouter, Query, Response
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, Success
from service_kit.api.etags import IfMatch, etag
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import PathId
from service_kit.ports import Transactions

from campaign_service.application.create_campaign import create_campaign
from campaign_service.application.delete_campaign import delete_campaign
from campaign_service.application.get_campaign import get_campaign
from campaign_service.application.ports import CampaignQuery, SortField
from campaign_service.application.update_campaign import UpdateCampaign, update_campaign
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition
from campaign_service.domain.errors import (
    CampaignNotFound,
    DefinitionTooLarge,
    ExecutionRunning,
    InvalidTransition,
    NotEditable,
    PreconditionFailed,
    VersionConflict,
)
from campaign_service.domain.search import words
from campaign_service.entrypoints.api.campaign_answers import (
    CampaignCreatedOut,
    CampaignDetail,
    CampaignList,
    CampaignUpdatedOut,
    Deleted,
    detail,
    row,
    updated,
)
from campaign_service.entrypoints.api.campaign_requests import CampaignIn, SearchText, SortKey
from campaign_service.entrypoints.api.dependencies import PageLimit, PageNumber, Parts
from campaign_service.entrypoints.api.merge_patch import CampaignPatch, definition_json
from campaign_service.entrypoints.errors import INCOMPLETE, answers
from campaign_service.metrics import CREATED

router = APIRouter(prefix="/campaigns", tags=["campaigns"])


@router.post(
    "",
    status_code=201,
    operation_id="createCampaign",
    response_model=Success[CampaignCreatedOut],
    responses=answers(DefinitionTooLarge, headers=["ETag"]),
)
async def post_campaign(body: CampaignIn, caller: Editor, parts: Parts, once: Once) -> Response:
    """Create a campaign, as a draft."""
    definition = body.to_definition()

    async def create(transactions: Transactions) -> Campaign:
        done = await create_campaign(
            definition,
            org=caller.org,
            created_by=caller.subject,
            campaigns=parts.campaigns,
            transactions=transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        CREATED.inc()
        return done

    return await once(create, answer=_created)


def _created(campaign: Campaign) -> Answer:
    created = CampaignCreatedOut(
        id=campaign.id,
        name=campaign.definition.name,
        status=campaign.status,
        message="Campaign created successfully",
    )
    return Answer(201, Success(data=created), headers={"ETag": etag(campaign.version)})


@router.get("", operation_id="listCampaigns", response_model=Success[CampaignList])
async def get_campaigns(
    caller: Viewer,
    parts: Parts,
    page: PageNumber = 1,
    limit: PageLimit = 20,
    status: Annotated[CampaignStatus | None, Query(description="Only those with this status.")] = None,
    type: Annotated[CampaignType | None, Query(description="Only those of this type.")] = None,
    sort: Annotated[SortKey, Query(description="The field to sort by; with - downwards.")] = "-createdAt",
    search: Annotated[
        SearchText | None,
        Query(description="Words; each must begin a word of the name or the description, in any case."),
    ] = None,
) -> Response:
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
    shown = CampaignList(
        campaigns=[row(campaign) for campaign in found.items],
        pagination=Pagination.of(page=page, limit=limit, total=found.total),
    )
    return Answer(200, Success(data=shown)).response()


@router.get(
    "/{campaign_id}",
    operation_id="getCampaign",
    response_model=Success[CampaignDetail],
    responses=answers(CampaignNotFound, headers=["ETag"]),
)
async def get_one(campaign_id: PathId, caller: Viewer, parts: Parts) -> Response:
    """A campaign, whole. The `ETag` is its version."""
    campaign = await get_campaign(caller.org, campaign_id, campaigns=parts.campaigns)
    return Answer(200, Success(data=detail(campaign)), headers={"ETag": etag(campaign.version)}).response()


@router.put(
    "/{campaign_id}",
    operation_id="updateCampaign",
    response_model=Success[CampaignUpdatedOut],
    responses=answers(
        CampaignNotFound,
        InvalidTransition("completed", "active"),
        NotEditable("active", ["messages"]),
        ExecutionRunning,
        VersionConflict,
        PreconditionFailed,
        DefinitionTooLarge,
        INCOMPLETE,
        headers=["ETag"],
    ),
)
async def put_campaign(
    campaign_id: PathId,
    patch: CampaignPatch,
    caller: Editor,
    parts: Parts,
    if_match: IfMatch,
) -> Response:
    """Change a campaign's definition (JSON Merge Patch) or, by `status`, where it stands in its life."""

    def revise(stored: Definition) -> Definition:
        return patch.over(definition_json(stored), CampaignIn).to_definition()

    campaign = await update_campaign(
        caller.org,
        campaign_id,
        UpdateCampaign(revise, patch.status(), if_match),
        campaigns=parts.campaigns,
        templates=parts.templates,
        preflight=parts.preflight,
        transactions=parts.transactions,
        outbox=parts.outbox,
        clock=parts.clock,
    )
    return Answer(200, Success(data=updated(campaign)), headers={"ETag": etag(campaign.version)}).response()


@router.delete(
    "/{campaign_id}",
    operation_id="deleteCampaign",
    responses=answers(
        CampaignNotFound, InvalidTransition("active", "deleted"), VersionConflict, PreconditionFailed
    ),
)
async def delete_one(
    campaign_id: PathId, caller: Editor, parts: Parts, if_match: IfMatch
) -> Success[Deleted]:
    """Delete a campaign; only a draft or a cancelled one."""
    await delete_campaign(
        caller.org,
        campaign_id,
        versions=if_match,
        campaigns=parts.campaigns,
        transactions=parts.transactions,
        outbox=parts.outbox,
        clock=parts.clock,
    )
    return Success(data=Deleted(message="Campaign deleted successfully"))
