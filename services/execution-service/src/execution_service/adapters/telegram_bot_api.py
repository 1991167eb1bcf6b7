"""The Bot API over HTTP.

What matters is the line between "nothing was written" and "something may have been". aiohttp tells when it
is about to write a request's head; a request that ends before that was never sent. It repeats no POST.
Source: https://core.telegram.org/bots/api#sendmessage
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import aiohttp

from execution_service.application.ports_sending import Rendered
from execution_service.domain.outcomes import NoAnswer, NotConnected, SendResult, classify


class TelegramBotApi:
    """Sends through the server at `base_url`. Make it inside the event loop; close it at the end.

    `connect_seconds` bounds connecting, `answer_seconds` the whole request.
    """

    def __init__(
        self, base_url: str, *, connect_seconds: float, answer_seconds: float, connections: int
    ) -> None:
        self._base = base_url.rstrip("/")
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections, keepalive_timeout=10),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=answer_seconds),
            json_serialize=_dumps,
            trace_configs=[_tracing()],
        )
        self._answer_seconds = answer_seconds

    async def send(self, token: str, chat_id: int, rendered: Rendered, *, paid: bool) -> SendResult:
        """sendMessage, once."""
        body: dict[str, Any] = {"chat_id": chat_id, "text": rendered.text}
        if rendered.parse_mode != "none":
            body["parse_mode"] = rendered.parse_mode
        if paid:
            body["allow_paid_broadcast"] = True
        url, seen = f"{self._base}/bot{token}/sendMessage", SimpleNamespace(written=False)
        try:
            async with (
                asyncio.timeout(self._answer_seconds),
                self._session.post(url, json=body, trace_request_ctx=seen, allow_redirects=False) as answer,
            ):
                return classify(answer.status, _loads(await answer.read()))
        except (aiohttp.ClientError, TimeoutError, OSError):
            return NoAnswer() if seen.written else NotConnected()

    async def close(self) -> None:
        """Let go of the connections."""
        await self._session.close()


def _tracing() -> aiohttp.TraceConfig:
    async def about_to_write(
        _session: aiohttp.ClientSession,
        context: SimpleNamespace,
        _params: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        context.trace_request_ctx.written = True

    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(about_to_write)
    return tracing


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _loads(raw: bytes) -> object:
    try:
        return json.loads(raw)
    except ValueError:
        return None
