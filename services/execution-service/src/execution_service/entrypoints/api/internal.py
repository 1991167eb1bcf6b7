"""/internal: for campaign-service alone, beside the API and never behind the gateway."""

import hmac
from typing import Annotated, Any

from contracts.events.campaign import AudienceDefinition, ExecutionSnapshot, Retry
from fastapi import APIRouter, Depends, Request
from pydantic import Field
from service_kit.api.envelope import RequestModel, ResponseModel, UtcTime
from service_kit.auth import NotAuthenticated

from execution_service.application.forecast_execution import ForecastExecution, ForecastQuery
from execution_service.application.preflight import PreflightQuery, preflight
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.entrypoints.api.audience import Audience


class PreflightIn(RequestModel):
    """An execution as it is meant."""

    org: str
    segments: list[str] = Field(max_length=1000)
    filters: dict[str, Any] | None = None
    exclude_segments: list[str] = Field(default_factory=list, max_length=1000)
    test_mode: bool = False
    target_percentage: float = Field(default=100, gt=0, le=100)
    sampling_seed: str = ""
    bot_ids: list[str] = Field(default_factory=list, max_length=100)
    retry: Retry | None = None


class ForecastIn(RequestModel):
    """An execution as it would start at `begin`."""

    org: str
    snapshot: ExecutionSnapshot
    begin: UtcTime


class ForecastOut(ResponseModel):
    """What it would come to: see `application.forecast_execution.Forecast`."""

    total_count: int
    suppressed: dict[str, int]
    messages: int
    cost: float
    seconds: float | None


class PreflightBot(ResponseModel):
    """A bot that would send, and its rates in messages a second."""

    id: str
    name: str
    per_second: int
    paid_per_second: int


class PreflightOut(ResponseModel):
    """What it would meet. `bots` are those of the asked for that the org has, or its default one.

    `suppressed`: how many of the targeted contacts would be skipped, by code.
    """

    total_count: int
    targeted: int
    testers: int
    suppressed: dict[str, int]
    bots: list[PreflightBot]


def internal_router(
    audience: Audience, retried: RetriedContacts, forecast: ForecastExecution, *, token: str
) -> APIRouter:
    """The routes, for callers that show `token`."""

    async def known(request: Request) -> None:
        shown = request.headers.get("authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {token}".encode()):
            raise NotAuthenticated("the internal token is not right")

    router = APIRouter(prefix="/internal")

    @router.post("/preflight")
    async def run(body: PreflightIn, _: Annotated[None, Depends(known)]) -> PreflightOut:
        """How many contacts an execution would reach, and with which bots."""
        query = PreflightQuery(
            org=body.org,
            audience=AudienceDefinition(
                segments=body.segments, filters=body.filters, exclude_segments=body.exclude_segments
            ),
            test_mode=body.test_mode,
            target_percentage=body.target_percentage,
            sampling_seed=body.sampling_seed,
            bot_ids=body.bot_ids,
            retry=body.retry,
        )
        found = await preflight(
            query,
            measure=audience.measure,
            segments=audience.segments,
            bots=audience.bots,
            retried=retried,
        )
        return PreflightOut(
            total_count=found.total_count,
            targeted=found.targeted,
            testers=found.testers,
            suppressed=dict(found.suppressed),
            bots=[
                PreflightBot(
                    id=bot.bot_id,
                    name=bot.name,
                    per_second=bot.limits.per_second,
                    paid_per_second=bot.limits.paid_per_second,
                )
                for bot in found.bots
            ],
        )

    @router.post("/forecast")
    async def foretell(body: ForecastIn, _: Annotated[None, Depends(known)]) -> ForecastOut:
        """What an execution would come to: a dry run."""
        found = await forecast(ForecastQuery(body.org, body.snapshot, body.begin))
        return ForecastOut.model_validate(found, from_attributes=True)

    return router
