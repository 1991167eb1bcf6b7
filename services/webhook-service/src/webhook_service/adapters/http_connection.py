"""One HTTP/1.1 connection of the webhook client: a request is written, the answer is read up to a limit.

Mental model: `llhttp` parses, this class counts. Whatever a subscriber sends, at most one read of the
socket beyond `HEAD_BYTES` is taken before the answer's headers have ended, and at most `ANSWER_BYTES` of
all the rest, chunk headers and trailers included; of the body `KEEP_BYTES` are kept. A connection whose
answer was not read to its very end is closed, never used again.
Source: RFC 9112; https://llhttp.org for what the parser accepts.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from webhook_service.domain.retry import retry_after_seconds

HEAD_BYTES = 64 * 1024
"""How long an answer's headers may be, interim answers (1xx) before it included."""
KEEP_BYTES = 16 * 1024
"""How much of an answer's body is read and kept."""
ANSWER_BYTES = HEAD_BYTES + 4 * KEEP_BYTES
"""How much of an answer is read in all, however it is framed."""
RETRY_AFTER_BYTES = 200


class NoAnswer(Exception):
    """There is no answer; the message says why, for the subscriber's eyes: nothing about our network."""


class ClosedUnread(NoAnswer):
    """The connection ended before a byte of the answer came."""


@dataclass(slots=True)
class Reply:
    """An answer: `body` is its beginning, `retry_after` the header as it came."""

    status: int = 0
    retry_after: str | None = None
    body: bytes = b""


class HttpConnection(asyncio.Protocol):
    """A connection to `address`, a literal. One exchange at a time."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.closed = False
        self.idle_since = 0.0
        self._parser = HttpResponseParser(self)
        self._waiter: asyncio.Future[Reply] | None = None
        self._begin()

    def _begin(self) -> None:
        self._reply = Reply()
        self._body = bytearray()
        self._read = 0
        self._headers_ended = self._complete = self._framed = self._reusable = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be written."""
        return self._reusable and not self.closed

    async def exchange(self, request: bytes) -> Reply:
        """Write `request` and read the answer. Raises NoAnswer. Cancelled, it closes the connection."""
        if self.closed:
            raise ClosedUnread("the connection was closed without an answer")
        self._begin()
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            return await self._waiter
        except asyncio.CancelledError:
            self._reusable = False  # a whole answer may have come in this very turn, and nobody took it
            raise
        finally:
            self._waiter = None
            if not self._reusable:
                self.close()

    def close(self) -> None:
        """At once, without the goodbye that a silent peer could drag out."""
        self.closed = True
        self._transport.abort()

    # ---- the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected, TLS included."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The end. It also ends an answer that has no other end."""
        self.closed = True
        if exc is None and self._headers_ended and not self._framed:
            self._finish()
        elif self._read == 0:
            self._fail(ClosedUnread("the connection was closed without an answer"))
        else:
            self._fail(NoAnswer("the answer broke off"))

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer, or unasked ones, after which nothing on this connection can be trusted."""
        if self._waiter is None or self._waiter.done():
            self.close()
            return
        self._read += len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            self._reusable = False
            if not self._complete:
                self._fail(NoAnswer("the answer was not HTTP"))
        if self._complete:
            self._finish()
        elif not self._headers_ended:
            if self._read > HEAD_BYTES:
                self._fail(NoAnswer("the answer's headers are too long"))
        elif len(self._body) >= KEEP_BYTES or self._read > ANSWER_BYTES:
            self._finish()

    def _finish(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._reply.body = bytes(self._body)
            self._waiter.set_result(self._reply)

    def _fail(self, error: NoAnswer) -> None:
        self._reusable = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)

    # ---- the parser's side

    def on_message_begin(self) -> None:
        """A second answer to one request: its sender and we disagree about where the first ended."""
        if self._complete:
            self._reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the headers, those that matter."""
        if self._headers_ended:
            return  # a trailer
        match name.lower():
            case b"content-length":
                self._framed = True
            case b"transfer-encoding":
                # Chunks tell their end; with another coding on top it is the connection's (RFC 9112, 6.3).
                self._framed = value.rpartition(b",")[2].strip().lower() == b"chunked"
            case b"retry-after":
                self._note_wait(value[:RETRY_AFTER_BYTES].decode("latin-1"))

    def _note_wait(self, wish: str) -> None:
        """Of several wishes the longest counts."""
        now, known = datetime.now(UTC), self._reply.retry_after
        if known is None or retry_after_seconds(wish, now=now) > retry_after_seconds(known, now=now):
            self._reply.retry_after = wish

    def on_headers_complete(self) -> None:
        """The status. An interim one (1xx) is followed by the answer proper, and means nothing here."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._reply.retry_after, self._framed = None, False
        self._reply.status, self._headers_ended = status, status >= 200

    def on_body(self, body: bytes) -> None:
        """The beginning is kept."""
        if not self._complete:
            self._body += body[: KEEP_BYTES - len(self._body)]

    def on_message_complete(self) -> None:
        """The end of the answer, unless it was an interim one."""
        if self._headers_ended and not self._complete:
            self._complete = True
            self._reusable = self._parser.should_keep_alive()
