"""A TCP proxy that tests put before a real server, to let it hang or vanish."""

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Proxy:
    """Forwards 127.0.0.1:`port` to `host`:`target`; frozen, it takes what comes and forwards nothing.

    As a process does that was stopped by SIGSTOP: connections are made, bytes are taken, nobody answers,
    and what was sent meanwhile is handled once it goes on.
    """

    def __init__(self, host: str, target: int) -> None:
        self._target = (host, target)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def freeze(self) -> None:
        """Let nothing through."""
        self._flowing.clear()

    def thaw(self) -> None:
        """Let through what waits, and all that comes."""
        self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, there_writer), (there_reader, writer)):
            task = asyncio.create_task(_forward(source, sink, self._flowing))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _forward(source: asyncio.StreamReader, sink: asyncio.StreamWriter, flowing: asyncio.Event) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            await flowing.wait()
            sink.write(data)
            await sink.drain()
    sink.close()
