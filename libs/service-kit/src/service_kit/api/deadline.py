"""ASGI middleware: an answer within a time, whatever hangs behind it.

Mental model: two limits, one inside the other. Every MongoDB operation of a request ends by
`database_seconds` after the request was read: then the driver gives up, its thread is free again, and
the answer is a 503 like any other failure of the database. `seconds` is the last resort, for what waits
without an operation: the driver's threads are all taken by requests that hang, or the hanging thing is no
database at all.

The time begins when the body has arrived (a slow client is not our slowness) and ends when the answer
begins (a stream may go on). The request runs in a task of its own, so that the driver's limit, which is a
context variable, ends with it.
"""

import asyncio
from collections import deque
from collections.abc import Collection

import pymongo
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.api.errors import failure
from service_kit.api.log_path import log_path
from service_kit.errors import DependencyDown
from service_kit.logging import get_logger

log = get_logger()


class Deadline:
    """Answers 503 when the answer has not begun in time. A POST to `raw_paths` (suffixes) is left alone."""

    def __init__(
        self, app: ASGIApp, *, seconds: float, database_seconds: float, raw_paths: Collection[str]
    ) -> None:
        self.app = app
        self._seconds = seconds
        self._database_seconds = database_seconds
        self._raw = tuple(raw_paths)

    def _streams(self, scope: Scope) -> bool:
        return bool(self._raw) and scope["method"] == "POST" and scope["path"].endswith(self._raw)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._streams(scope):
            await self.app(scope, receive, send)
            return
        body = _Body(receive)
        await body.read()
        limit = asyncio.timeout(self._seconds)
        began = False

        async def send_in_time(message: Message) -> None:
            nonlocal began
            if message["type"] == "http.response.start" and not began:
                began = True
                limit.reschedule(None)
                pymongo.timeout(None).__enter__()  # what follows, a stream perhaps, has no common end
            await send(message)

        async def run() -> None:
            # Not left again: it belongs to this task's context, and ends with it.
            pymongo.timeout(self._database_seconds).__enter__()
            await self.app(scope, body.receive, send_in_time)

        try:
            async with limit:
                await asyncio.create_task(run(), name="request")
        except TimeoutError:
            if began:
                raise
            log.warning("request.deadline", method=scope["method"], path=log_path(scope))
            answer = failure(Request(scope), 503, DependencyDown.code, DependencyDown().message)
            await answer(scope, receive, send)


class _Body:
    """A request's messages up to the end of its body, kept for the app. Their size is limited before us."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._kept: deque[Message | Exception] = deque()

    async def read(self) -> None:
        """Wait for the body. What goes wrong (it is too large) is the app's to hear, when it reads."""
        more = True
        while more:
            try:
                message = await self._receive()
            except Exception as error:
                self._kept.append(error)
                return
            self._kept.append(message)
            more = message["type"] == "http.request" and message.get("more_body", False)

    async def receive(self) -> Message:
        """The next message, as the server gave it."""
        if not self._kept:
            return await self._receive()
        kept = self._kept.popleft()
        if isinstance(kept, Exception):
            raise kept
        return kept
