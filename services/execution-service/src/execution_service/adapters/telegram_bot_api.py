"""The Bot API over HTTP.

What matters is the line between "nothing was written" and "something may have been". The client's exception
classes do not draw it (a server that reads a request and closes is a ConnectError), but the chain of causes
does: hyper says in which phase it failed. Whatever does not say that it failed while connecting may have been
read by Telegram. The client repeats only a request that never left its queue, because the kept connection
that it was meant for had closed. The tests hold it to all that on raw sockets.
Source: https://core.telegram.org/bots/api#sendmessage and the methods for media beside it.
"""

from datetime import timedelta
from typing import Any

import orjson
from contracts.events.campaign import MediaType
from pyreqwest.bytes import Bytes
from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import DetailedPyreqwestError, PoolTimeoutError, PyreqwestError
from pyreqwest.http import Url

from execution_service.application.ports_sending import Rendered
from execution_service.domain.outcomes import NoAnswer, NotConnected, SendResult, classify

CONNECTING = "client error (Connect)"
"""How hyper names the phase before a request can be written."""
ANSWER_BYTES = 65_536
"""An answer that is longer is none of Telegram's; the rest of it is not read."""
KEPT_URLS = 1_000
METHODS: dict[MediaType, str] = {
    "photo": "sendPhoto",
    "video": "sendVideo",
    "document": "sendDocument",
    "animation": "sendAnimation",
}
"""Each takes its media under the name of its type."""
POOL_SECONDS = 1.0
"""Waiting for one of the connections; `telegram_connections` is meant to be enough for all windows."""
IDLE_SECONDS = 10.0
"""A connection that was idle for longer is closed from here, before the other side does so unseen."""


class TelegramBotApi:
    """Sends through the server at `base_url`. Make it inside the event loop; close it at the end.

    `connect_seconds` bounds connecting, TLS included, and `answer_seconds` all of a request. A cancelled
    send may still go on in the client until then, and holds its connection.
    """

    def __init__(
        self, base_url: str, *, connect_seconds: float, answer_seconds: float, connections: int
    ) -> None:
        self._base = base_url.rstrip("/")
        self._urls: dict[tuple[str, str], Url] = {}
        self._client = (
            ClientBuilder()
            .http1_only()
            .no_proxy()
            .follow_redirects(False)
            .gzip(False)
            .brotli(False)
            .zstd(False)
            .deflate(False)
            .max_connections(connections)
            .pool_max_idle_per_host(connections)
            .pool_idle_timeout(timedelta(seconds=IDLE_SECONDS))
            .pool_timeout(timedelta(seconds=POOL_SECONDS))
            .connect_timeout(timedelta(seconds=connect_seconds))
            .timeout(timedelta(seconds=answer_seconds))
            .default_headers({"content-type": "application/json"})
            .build()
        )

    async def send(self, token: str, chat_id: int, rendered: Rendered, *, paid: bool) -> SendResult:
        """One request of the method that fits the message."""
        media = rendered.media
        url = self._url(token, "sendMessage" if media is None else METHODS[media.type])
        request = self._client.post(url).body_bytes(orjson.dumps(_parameters(chat_id, rendered, paid=paid)))
        try:
            async with request.build_streamed() as answer:
                raw = await answer.body_reader.read(ANSWER_BYTES)
                return classify(answer.status, _loads(raw))
        except PyreqwestError as error:
            return NotConnected() if _never_connected(error) else NoAnswer()

    def _url(self, token: str, method: str) -> Url:
        """Read once for each token."""
        known = self._urls.get((token, method))
        if known is None:
            if len(self._urls) >= KEPT_URLS:
                self._urls.clear()
            known = self._urls[token, method] = Url(f"{self._base}/bot{token}/{method}")
        return known

    async def close(self) -> None:
        """Let go of the connections."""
        await self._client.close()


def _parameters(chat_id: int, rendered: Rendered, *, paid: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"chat_id": chat_id}
    if rendered.media is None:
        body["text"] = rendered.text
    else:
        body[rendered.media.type] = rendered.media.url
        if rendered.text:
            body["caption"] = rendered.text
    if rendered.parse_mode != "none":
        body["parse_mode"] = rendered.parse_mode
    if rendered.keyboard:
        body["reply_markup"] = {"inline_keyboard": rendered.keyboard}
    if paid:
        body["allow_paid_broadcast"] = True
    return body


def _never_connected(error: PyreqwestError) -> bool:
    """Whether it ended before there was anything to write to: the pool is full, name, TCP or TLS failed."""
    if isinstance(error, PoolTimeoutError):
        return True
    causes = (error.details["causes"] or ()) if isinstance(error, DetailedPyreqwestError) else ()
    return any(cause["message"] == CONNECTING for cause in causes)


def _loads(raw: Bytes | None) -> object:
    try:
        return None if raw is None else orjson.loads(memoryview(raw))
    except ValueError:
        return None
