"""/campaigns/:id/audience: how many people a campaign means, and who of them would be skipped."""

from fastapi import APIRouter
from service_kit.api.app import Viewer
from service_kit.api.envelope import ResponseModel, Success
from service_kit.api.types import PathId

from execution_service.application.show_audience import ShowAudience
from execution_service.domain.errors_engine import CampaignNotFound
from execution_service.entrypoints.errors import answers


class CampaignAudienceOut(ResponseModel):
    """Counted now, filters applied. A contact in several segments counts in each of them, in the total once.

    `suppressed`: how many of the total would be skipped now for what they are or got, by code, each for the
    first reason that holds: `OPTED_OUT`, `BLOCKED`, `DEACTIVATED`, `NO_CHAT`, `FREQUENCY_CAP`. What texts and
    a budget do is told by a dry run.
    """

    total_count: int
    by_segment: dict[str, int]
    suppressed: dict[str, int]


def campaign_audience_router(show: ShowAudience) -> APIRouter:
    """The route over `show`."""
    router = APIRouter(tags=["campaigns"])

    @router.get(
        "/campaigns/{campaign_id}/audience",
        operation_id="getCampaignAudience",
        responses=answers(CampaignNotFound),
    )
    async def audience(campaign_id: PathId, caller: Viewer) -> Success[CampaignAudienceOut]:
        """The size of the campaign's audience, by segment, and who of it would be skipped and why."""
        tally = await show.audience(caller.org, campaign_id)
        return Success(
            data=CampaignAudienceOut(
                total_count=tally.total,
                by_segment=dict(tally.by_segment),
                suppressed={code: count for code, count in tally.suppressed.items() if count},
            )
        )

    return router
