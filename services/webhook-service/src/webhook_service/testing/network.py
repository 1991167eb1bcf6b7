"""Names, subscribers on raw sockets and a sender for them, for tests of what happens on the network."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, wraps
from typing import Any, ParamSpec

import uvloop

from webhook_service.adapters.http_client import HttpClient
from webhook_service.adapters.http_sender import HttpSender
from webhook_service.adapters.targets import Lookup, NetworkTargets
from webhook_service.domain.delivery import Answer

P = ParamSpec("P")
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = '{"type":"campaign.created","data":{"name":"Été ☀️"}}'.encode()
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def on_each_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Runs `test` on uvloop, as the processes do, and on asyncio's own loop: their TLS and sockets differ."""

    @wraps(test)
    def both(*args: P.args, **kwargs: P.kwargs) -> None:
        uvloop.run(test(*args, **kwargs))
        asyncio.run(test(*args, **kwargs))

    return both


class Names:
    """A name server that answers `answers` one after another, the last one for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers, self.asked = list(answers), 0

    async def __call__(self, host: str, port: int) -> list[str]:
        """The next answer."""
        self.asked += 1
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


@dataclass
class Subscriber:
    """A server. `connections` were accepted; `ended` counts those whose handler has come to its end."""

    port: int = 0
    connections: int = 0
    ended: int = 0
    heads: list[str] = field(default_factory=list)

    def url(self, host: str = "hook.example", path: str = "/") -> str:
        """Of plain HTTP."""
        return f"http://{host}:{self.port}{path}"


@asynccontextmanager
async def subscriber(
    handle: Callable[[Subscriber, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
) -> AsyncIterator[Subscriber]:
    """A server on loopback that treats each connection by `handle`."""
    state = Subscriber()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state.connections += 1
        try:
            await handle(state, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            state.ended += 1
            writer.transport.abort()

    server = await asyncio.start_server(connected, host, port, ssl=tls)
    state.port = server.sockets[0].getsockname()[1]
    try:
        yield state
    finally:
        server.close()


async def read_request(state: Subscriber, reader: asyncio.StreamReader) -> None:
    """One request to its end; its head is noted."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    length = next(
        int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:")
    )
    await reader.readexactly(length)
    state.heads.append(head)


def answering(*parts: bytes, every: float = 0, close: bool = False) -> Any:
    """A handler that answers each request by `parts`, with `every` seconds after each of them."""

    async def handle(state: Subscriber, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(state, reader)
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(every)
            if close:
                return

    return handle


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nthanks"


@asynccontextmanager
async def opened(
    lookup: Lookup, *, allow_private: bool = True, seconds: float = 5, tls: ssl.SSLContext | None = None
) -> AsyncIterator[HttpSender]:
    """A sender that resolves by `lookup`; by default one of development, which may reach loopback."""
    targets = NetworkTargets(allow_private=allow_private, lookup=lookup, seconds=1)
    context = tls or _without_authorities()
    async with HttpClient(lookup=lookup, allow_private=allow_private, idle=10, tls=context) as client:
        yield HttpSender(client, targets=targets, seconds=seconds)


@cache
def _without_authorities() -> ssl.SSLContext:
    """Trusts nobody; reading the system's authorities takes longer than most tests."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


async def post(sender: HttpSender, url: str, *, headers: dict[str, str] | None = None) -> Answer:
    """One delivery."""
    return await sender.send(
        url, secrets=[SECRET], message_id="evt_1", at=datetime.now(UTC), body=BODY, headers=headers or {}
    )
