"""GET /campaigns/:id/statistics."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

from fastapi import APIRouter, Request
from service_kit.api.app import Viewer
from service_kit.api.envelope import Success
from service_kit.api.types import PathId
from service_kit.auth import Role
from service_kit.errors import Detail

from stats_service.domain.errors import CampaignNotFound, ParameterNotAvailable
from stats_service.domain.numbers import Overview, Performance
from stats_service.entrypoints.api.schemas import OverviewOut, PerformanceOut, StatisticsOut
from stats_service.entrypoints.errors import answers

EXAMPLES = Path(__file__).with_name("examples")
GetStatistics = Callable[[str, str, bool], Awaitable[tuple[Overview, Performance]]]
"""(campaign, org, also when it has been deleted) → totals and rates."""


def statistics_router(get_statistics: GetStatistics) -> APIRouter:
    """The routes, on the use case."""
    router = APIRouter(tags=["statistics"])

    @router.get(
        "/campaigns/{campaign_id}/statistics",
        operation_id="getCampaignStatistics",
        responses=answers(
            CampaignNotFound,
            ParameterNotAvailable("period: is not available", details=[Detail("period", "is not available")]),
        ),
    )
    async def statistics(campaign_id: PathId, request: Request, caller: Viewer) -> Success[StatisticsOut]:
        """The campaign's totals and rates; of a deleted campaign for admins only."""
        names = sorted(request.query_params)
        if names:
            details = [Detail(name, "is not available") for name in names]
            raise ParameterNotAvailable(f"{names[0]}: is not available", details=details)
        totals, rates = await get_statistics(campaign_id, caller.org, caller.role == Role.ADMIN)
        return Success(
            data=StatisticsOut(
                overview=OverviewOut(**asdict(totals)), performance=PerformanceOut(**asdict(rates))
            )
        )

    return router
