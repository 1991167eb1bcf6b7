"""ASGI middleware: a request id and one wide log line per request, limits on body and media type."""

from collections.abc import Collection
from secrets import token_hex
from time import perf_counter
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service_kit.api.errors import failure, unforeseen
from service_kit.api.log_path import log_path
from service_kit.logging import get_logger
from service_kit.metrics import REQUESTS

log = get_logger()


class Observe:
    """Gives each request an id (`X-Request-Id`, kept when the client sends a sane one), logs and times it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = (
            given
            if given.isascii() and given.isprintable() and 8 <= len(given) <= 64
            else f"req_{token_hex(13)}"
        )
        scope.setdefault("state", {})["request_id"] = request_id
        status, began = 500, False
        started = perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status, began
            if message["type"] == "http.response.start":
                status, began = message["status"], True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_with_id)
            except Exception as error:
                answer = unforeseen(Request(scope), error)
                if not began:
                    await answer(scope, receive, send_with_id)
            finally:
                _note(scope, status, perf_counter() - started)


def _note(scope: Scope, status: int, seconds: float) -> None:
    route: Any = scope.get("route")
    path = getattr(route, "path", "none")
    REQUESTS.labels(method=scope["method"], route=path, status=str(status)).observe(seconds)
    log.info("request.served", method=scope["method"], route=path, path=log_path(scope),
             status=status, seconds=round(seconds, 4))  # fmt: skip


class LimitBody:
    """Answers 413 past `max_bytes` and 415 for a body that is not JSON.

    A POST to `raw_paths` (suffixes) is left alone: its handler reads the stream itself. Any other method of
    the same path is read whole, so it is limited.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, raw_paths: Collection[str]) -> None:
        self.app = app
        self._max = max_bytes
        self._raw = tuple(raw_paths)

    def _streams(self, scope: Scope) -> bool:
        return bool(self._raw) and scope["method"] == "POST" and scope["path"].endswith(self._raw)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or self._streams(scope):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
        media = headers.get("content-type", "").partition(";")[0].strip().lower()
        request = Request(scope)
        if has_body and media != "application/json" and not media.endswith("+json"):
            answer = failure(request, 415, "UNSUPPORTED_MEDIA_TYPE", "send application/json")
            await answer(scope, receive, send)
            return
        too_large = f"the body is over {self._max} bytes"
        length = headers.get("content-length", "0")
        if length.isdigit() and int(length) > self._max:
            answer = failure(request, 413, "PAYLOAD_TOO_LARGE", too_large)
            await answer(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max:
                raise HTTPException(413, too_large)
            return message

        await self.app(scope, counted, send)
