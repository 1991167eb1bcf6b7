"""Many subscribers of which some hang, drip, refuse or take their time, for tests of what the others feel."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import cast

HANGING = ("silent", "dripping", "slow", "refusing")


def kind(number: int) -> str:
    """Every tenth endpoint hangs, in one way or another."""
    return HANGING[number // 10 % len(HANGING)] if number % 10 == 0 else "healthy"


@dataclass
class Subscribers:
    """One server for all: the path tells which endpoint is meant. `arrived`: when, by endpoint and event.

    Those that will hang are well until `broken`, so that nothing bad is known of them.
    """

    port: int = 0
    refusing_port: int = 0
    broken: bool = False
    arrived: dict[tuple[int, str], float] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    held: Counter[str] = field(default_factory=Counter)
    refuse: Callable[[], None] = lambda: None

    def hang(self) -> None:
        """From now on."""
        self.broken = True
        self.refuse()

    def url(self, number: int) -> str:
        """The endpoint's."""
        port = self.refusing_port if kind(number) == "refusing" else self.port
        return f"http://127.0.0.1:{port}/{number}"


class Connection(asyncio.Protocol):
    """Reads requests, and answers them as their endpoint's kind does."""

    def __init__(self, subscribers: Subscribers) -> None:
        self._subscribers, self._read, self._holds = subscribers, bytearray(), ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Accepted."""
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has had enough."""
        self._subscribers.held[self._holds] -= 1

    def data_received(self, data: bytes) -> None:
        """Part of a request, or one."""
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        lower = head.lower()
        if not end or len(body) < int(lower.split(b"content-length: ")[1].split(b"\r\n")[0]):
            return
        number = int(head.split(b" ", 2)[1][1:])
        event_id = head[lower.index(b"webhook-id: ") + 12 :].split(b"\r\n")[0].decode()
        self._read.clear()
        self._answer(kind(number) if self._subscribers.broken else "healthy", number, event_id)

    def _answer(self, how: str, number: int, event_id: str) -> None:
        self._subscribers.asked[how] += 1
        if how == "healthy":
            self._subscribers.arrived.setdefault((number, event_id), monotonic())
            self._transport.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            return
        self._holds = how
        self._subscribers.held[how] += 1
        if how == "dripping":
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            self._drip()
        elif how == "slow":
            asyncio.get_running_loop().call_later(
                14, self._transport.write, b"HTTP/1.1 204 No Content\r\n\r\n"
            )

    def _drip(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(b"x")
            asyncio.get_running_loop().call_later(1, self._drip)


@asynccontextmanager
async def listening() -> AsyncIterator[Subscribers]:
    """All of them, on loopback."""
    everybody, loop = Subscribers(), asyncio.get_running_loop()
    servers = [
        await loop.create_server(lambda: Connection(everybody), "127.0.0.1", 0, backlog=1000)
        for _ in range(2)
    ]
    everybody.port, everybody.refusing_port = (server.sockets[0].getsockname()[1] for server in servers)
    everybody.refuse = servers[1].close
    try:
        yield everybody
    finally:
        for server in servers:
            server.close()
