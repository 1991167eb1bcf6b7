"""GET /campaigns/:id/statistics."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Protocol

from fastapi import APIRouter, Query, Request, Response
from service_kit.api.app import Viewer
from service_kit.api.envelope import Success
from service_kit.api.types import PathId
from service_kit.auth import Role

from stats_service.application.get_statistics import Asked
from stats_service.domain.errors import CampaignNotFound
from stats_service.domain.periods import Period
from stats_service.domain.question import EVERYTHING, OVERVIEW, ZONE_RULE, Part, invalid, question
from stats_service.entrypoints.api.schemas import StatisticsOut
from stats_service.entrypoints.errors import answers

EXAMPLES = Path(__file__).with_name("examples")
PARAMETERS = ("period", "metrics", "timezone")
Metrics = Annotated[
    str,
    Query(
        max_length=400,
        description=f"Comma-separated: parts of the answer ({', '.join(Part)}), or fields of the overview"
        f" ({', '.join(OVERVIEW)}), or `{EVERYTHING}`. `measurement` is always there.",
        examples=["overview,timeline"],
    ),
]
PeriodName = Annotated[
    Period,
    Query(
        description="The 60 minutes, 24 hours, or 7 or 30 days of `timezone` that end with the present one;"
        " or all time. It limits every part."
    ),
]
Timezone = Annotated[
    str, Query(max_length=64, description="IANA time zone of the days.", examples=["Europe/Berlin"])
]


class GetStatistics(Protocol):
    """The use case."""

    async def __call__(self, asked: Asked, *, deleted_too: bool) -> bytes:
        """The answer's body. Raises CampaignNotFound."""
        ...


def statistics_router(get_statistics: GetStatistics) -> APIRouter:
    """The routes, on the use case."""
    router = APIRouter(tags=["statistics"])

    @router.get(
        "/campaigns/{campaign_id}/statistics",
        operation_id="getCampaignStatistics",
        response_model=Success[StatisticsOut],
        responses=answers(CampaignNotFound, invalid("timezone", ZONE_RULE)),
    )
    async def statistics(
        campaign_id: PathId,
        request: Request,
        caller: Viewer,
        period: PeriodName = Period.ALL,
        metrics: Metrics = EVERYTHING,
        timezone: Timezone = "UTC",
    ) -> Response:
        """The campaign's numbers in a period; of a deleted campaign for admins only.

        All parts are of one moment. Every number is a sum of whole buckets, in any time zone.
        """
        given = Counter(name for name, _ in request.query_params.multi_items())
        for name in sorted(given):
            if name not in PARAMETERS:
                raise invalid(name[:100], f"is none of {', '.join(PARAMETERS)}")
            if given[name] > 1:
                raise invalid(name, "must be given once")
        asked = Asked(campaign_id, caller.org, question(period, metrics, timezone))
        body = await get_statistics(asked, deleted_too=caller.role == Role.ADMIN)
        return Response(body, media_type="application/json")

    return router
