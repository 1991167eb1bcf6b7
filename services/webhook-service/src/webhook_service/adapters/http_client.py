"""An HTTP client that can do no more than post a webhook, and reaches vetted addresses only.

Mental model: every post begins with the names' answers of now. One address among them that webhooks may
not reach refuses them all; else a connection is made to one of just these addresses (never to a name), with
the host's name for TLS: SNI, and the certificate must be trusted and be the host's. A connection that was
kept from an earlier post serves only if its address is among the answers of now. There are no redirects, no
proxies, no cookies, no decompression and no HTTP/2 here to be switched off.
Why our own: docs/decisions/0034-the-webhook-client.md.
"""

import asyncio
import socket
import ssl
from collections.abc import Iterable
from time import monotonic
from types import TracebackType
from typing import NamedTuple, Self

from aiohappyeyeballs import start_connection

from webhook_service.adapters.guarded_connections import AddressRefused, guarded_sockets, vetted
from webhook_service.adapters.http_connection import ClosedUnread, HttpConnection, NoAnswer, Reply
from webhook_service.adapters.targets import Lookup

KEEPALIVE_SECONDS = 4.0
"""Below the usual five seconds of servers: a connection that they close just then costs a repetition."""
EYEBALLS_SECONDS = 0.25
"""How long one address may take to connect before the next is tried beside it (RFC 8305)."""


class Origin(NamedTuple):
    """Who is spoken to. `host` as in the URL, in ASCII and without brackets."""

    tls: bool
    host: str
    port: int


def trusting_the_system() -> ssl.SSLContext:
    """Verifies certificates and names by the system's authorities (`SSL_CERT_FILE` too); TLS 1.2 and up."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


class HttpClient:
    """Posts to allowed addresses. `idle`: how many connections are kept at most between posts.

    Make it inside the event loop; close it at the end. It sets no deadline: cancel `post` at yours.
    """

    def __init__(self, *, lookup: Lookup, allow_private: bool, idle: int, tls: ssl.SSLContext) -> None:
        self._lookup = lookup
        self._allow_private = allow_private
        self._tls = tls
        self._sockets = guarded_sockets(allow_private=allow_private)
        self._idle = IdleConnections(idle)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._idle.close()

    async def post(self, origin: Origin, request: bytes) -> Reply:
        """The answer to `request`, the bytes of one whole POST. Raises NoAnswer.

        If a kept connection ends before a byte of the answer came, it probably had ended before: then, and
        only then, the request is written again, on a new one. Subscribers drop what they have seen.
        """
        addresses = await self._vetted(origin)
        kept = self._idle.take(origin, addresses)
        if kept is not None:
            try:
                return await self._exchange(kept, origin, request)
            except ClosedUnread:
                pass
        return await self._exchange(await self._connect(origin, addresses), origin, request)

    async def _vetted(self, origin: Origin) -> list[str]:
        try:
            return await vetted(self._lookup, origin.host, origin.port, allow_private=self._allow_private)
        except AddressRefused as error:
            raise NoAnswer(str(error)) from error
        except (OSError, UnicodeError) as error:
            raise NoAnswer("the host does not resolve") from error

    async def _exchange(self, connection: HttpConnection, origin: Origin, request: bytes) -> Reply:
        reply = await connection.exchange(request)
        if connection.reusable:
            self._idle.keep(origin, connection)
        return reply

    async def _connect(self, origin: Origin, addresses: list[str]) -> HttpConnection:
        """A new connection to one of `addresses`. Raises NoAnswer."""
        try:
            raw = await start_connection(
                [_info(address, origin.port) for address in addresses],
                happy_eyeballs_delay=EYEBALLS_SECONDS, interleave=1, socket_factory=self._sockets,
            )  # fmt: skip
            address = str(raw.getpeername()[0])
        except AddressRefused as error:
            raise NoAnswer(str(error)) from error
        except OSError as error:
            raise NoAnswer("the connection could not be made") from error
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: HttpConnection(address), sock=raw,
                ssl=self._tls if origin.tls else None,
                # A name may end with a dot, a certificate's never does.
                server_hostname=origin.host.removesuffix(".") if origin.tls else None,
            )  # fmt: skip
        except ssl.SSLCertVerificationError as error:
            raise NoAnswer(f"the certificate was refused: {error.verify_message}") from error
        except OSError as error:
            raise NoAnswer("the TLS handshake failed") from error
        return connection


def _info(address: str, port: int) -> tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]:
    """As `socket.getaddrinfo` would answer for the literal."""
    kind, proto = socket.SOCK_STREAM, socket.IPPROTO_TCP
    if ":" in address:
        return socket.AF_INET6, kind, proto, "", (address, port, 0, 0)
    return socket.AF_INET, kind, proto, "", (address, port)


class IdleConnections:
    """Connections between posts, the longest idle first; at most `most`, each for KEEPALIVE_SECONDS."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: dict[HttpConnection, Origin] = {}
        self._by_origin: dict[Origin, list[HttpConnection]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def take(self, origin: Origin, addresses: Iterable[str]) -> HttpConnection | None:
        """The one used last that leads to one of `addresses`; those that lead elsewhere are closed."""
        while connections := self._by_origin.get(origin):
            connection = connections[-1]
            self._forget(connection)
            if connection.reusable and connection.address in addresses:
                return connection
            connection.close()
        return None

    def keep(self, origin: Origin, connection: HttpConnection) -> None:
        """Keep it for later posts."""
        connection.idle_since = monotonic()
        self._all[connection] = origin
        self._by_origin.setdefault(origin, []).append(connection)
        if len(self._all) > self._most:
            self._drop(next(iter(self._all)))
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(KEEPALIVE_SECONDS, self._sweep)

    def close(self) -> None:
        """Close all."""
        for connection in list(self._all):
            self._drop(connection)
        if self._timer is not None:
            self._timer.cancel()

    def _sweep(self) -> None:
        self._timer = None
        now = monotonic()
        while self._all:
            oldest = next(iter(self._all))
            left = oldest.idle_since + KEEPALIVE_SECONDS - now
            if left > 0:
                self._timer = asyncio.get_running_loop().call_later(left, self._sweep)
                return
            self._drop(oldest)

    def _drop(self, connection: HttpConnection) -> None:
        self._forget(connection)
        connection.close()

    def _forget(self, connection: HttpConnection) -> None:
        origin = self._all.pop(connection)
        connections = self._by_origin[origin]
        connections.remove(connection)
        if not connections:
            del self._by_origin[origin]
