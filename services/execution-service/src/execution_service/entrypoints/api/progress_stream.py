"""/campaigns/:id/progress/stream: the progress as server-sent events."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from fastapi import APIRouter
from fastapi.responses import Response, StreamingResponse
from service_kit.api.app import Viewer
from service_kit.api.envelope import Success
from service_kit.api.types import PathId
from service_kit.auth import Role
from starlette.types import Receive, Scope, Send

from execution_service.application.follow_progress import FollowProgress, Question
from execution_service.domain.errors_engine import CampaignNotFound, ExecutionNotFound
from execution_service.domain.progress import Progress
from execution_service.entrypoints.api.progress import ExecutionId, progress_out
from execution_service.entrypoints.errors import answers

MEDIA_TYPE = "text/event-stream"
QUIET = ": nothing new\n\n"
"""A comment: it keeps proxies from closing the connection."""


class EventStream(StreamingResponse):
    """Server-sent events. Whatever makes them is closed with the connection, whoever ends it."""

    media_type = MEDIA_TYPE

    def __init__(self, events: AsyncGenerator[str, None]) -> None:
        super().__init__(events, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until either side ends it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


def progress_stream_router(follow: FollowProgress, *, now: Callable[[], float] = time.time) -> APIRouter:
    """The route over `follow`; `now` is epoch seconds."""
    router = APIRouter(tags=["campaigns"])

    @router.get(
        "/campaigns/{campaign_id}/progress/stream",
        operation_id="streamCampaignProgress",
        response_class=Response,
        responses={
            **answers(CampaignNotFound, ExecutionNotFound, headers=["Cache-Control"]),
            200: {"content": {MEDIA_TYPE: {"schema": {"type": "string"}}}},
        },
    )
    async def stream(campaign_id: PathId, caller: Viewer, execution_id: ExecutionId = None) -> EventStream:
        """The body of `getCampaignProgress` as server-sent events: at once, then on change, ≤ 2/s.

        The stream ends after the event of a final status, or when the token expires. Lines that begin with a
        colon only keep the connection open.
        """
        question = Question(caller.org, campaign_id, execution_id, deleted_too=caller.role == Role.ADMIN)
        first = await follow.first(question)

        async def events() -> AsyncGenerator[str, None]:
            yield _event(first)
            left = caller.expires_at - now()
            async with aclosing(follow.changes(question, first, for_seconds=left)) as changes:
                async for change in changes:
                    yield QUIET if change is None else _event(change)

        return EventStream(events())

    return router


def _event(shown: Progress) -> str:
    body = Success(data=progress_out(shown)).model_dump_json(by_alias=True)
    return f"data: {body}\n\n"
