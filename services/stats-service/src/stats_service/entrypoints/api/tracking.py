"""GET /t/:token: the links behind buttons. For anybody: whoever has the link may follow it."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated

from contracts.tracking import MAX_TOKEN
from fastapi import APIRouter, Path, Request, Response

from stats_service.application.follow_link import Visitor
from stats_service.domain.errors import LinkNotFound
from stats_service.entrypoints.errors import answers

FollowLink = Callable[[str, Visitor], Awaitable[str]]
"""(token, who asks) → the address."""
Token = Annotated[
    str, Path(min_length=1, max_length=MAX_TOKEN, description="What stands in the address of a button.")
]
PURPOSES = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")
"""Headers in which browsers say that nobody asked to go there yet: the standard's, and what was before it."""
_BEFOREHAND = re.compile(r"\b(prefetch|prerender|preview)", re.IGNORECASE)


def tracking_router(follow_link: FollowLink) -> APIRouter:
    """The routes, on the use case."""
    router = APIRouter(tags=["tracking"])

    async def _sent_on(token: str, request: Request) -> Response:
        url = await follow_link(token, _visitor(request))
        return Response(status_code=302, headers={"Location": url, "Cache-Control": "no-store"})

    @router.get(
        "/t/{token}",
        operation_id="followLink",
        status_code=302,
        response_class=Response,
        responses=answers(LinkNotFound, headers=["Location", "Cache-Control"]),
    )
    async def follow(token: Token, request: Request) -> Response:
        """Send on to where a button leads, and tell of the click as `engagement.clicked`.

        Anybody may follow a link. It leads only to addresses that are in the campaign's messages; where such
        an address holds `{{clickId}}`, the id of this click stands there. Machines that look at links for
        people, prefetches (`Sec-Purpose` and its like) and HEAD are sent on as well, and are no click.
        """
        return await _sent_on(token, request)

    @router.head("/t/{token}", status_code=302, include_in_schema=False)
    async def look(token: Token, request: Request) -> Response:
        """The same answer, of which HTTP says that it is for looking only."""
        return await _sent_on(token, request)

    return router


def _visitor(request: Request) -> Visitor:
    purposes = " ".join(value for name in PURPOSES for value in request.headers.getlist(name))
    return Visitor(
        user_agent=request.headers.get("User-Agent", ""),
        prefetch=_BEFOREHAND.search(purposes) is not None,
        head=request.method == "HEAD",
    )
