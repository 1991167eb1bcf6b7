"""GET /t/:token: the links behind buttons. For anybody: whoever has the link may follow it."""

from collections.abc import Awaitable, Callable
from typing import Annotated

from contracts.tracking import MAX_TOKEN
from fastapi import APIRouter, Path, Request, Response

from stats_service.domain.errors import LinkNotFound
from stats_service.entrypoints.errors import answers

FollowLink = Callable[[str, str], Awaitable[str]]
"""(token, user agent) → the address."""
Token = Annotated[
    str, Path(min_length=1, max_length=MAX_TOKEN, description="What stands in the address of a button.")
]


def tracking_router(follow_link: FollowLink) -> APIRouter:
    """The route, on the use case."""
    router = APIRouter(tags=["tracking"])

    @router.get(
        "/t/{token}",
        operation_id="followLink",
        status_code=302,
        response_class=Response,
        responses=answers(LinkNotFound, headers=["Location", "Cache-Control"]),
    )
    async def follow(token: Token, request: Request) -> Response:
        """Send on to where a button leads, and tell of the click as `engagement.clicked`.

        Anybody may follow a link. It leads only to addresses that are in the campaign's messages.
        """
        url = await follow_link(token, request.headers.get("User-Agent", ""))
        return Response(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})

    return router
