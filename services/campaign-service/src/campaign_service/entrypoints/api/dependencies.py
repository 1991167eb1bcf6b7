"""What routes are given: the parts that bootstrap wired."""

from typing import Annotated, cast

from fastapi import Depends, Query, Request

from campaign_service.application.parts import ApiParts


async def _parts(request: Request) -> ApiParts:
    return cast(ApiParts, request.app.state.parts)


Parts = Annotated[ApiParts, Depends(_parts)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000_000, description="Page number.")]
PageLimit = Annotated[int, Query(ge=1, le=100, description="Items per page.")]
