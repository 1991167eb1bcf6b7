"""Running a process: its parts side by side, the admin port, SIGTERM.

Mental model: parts are coroutines that run for ever. SIGTERM or SIGINT cancels them and waits for
`drain_seconds`; a part that ends or raises takes the process down with exit code 1, so that the
supervisor starts a fresh one: a process that lives with a dead part looks healthy and is not.
"""

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

import uvicorn
import uvloop

from service_kit import logging
from service_kit.admin import Check, admin_server, quiet_server
from service_kit.settings import ServiceSettings

Part = Callable[[], Coroutine[Any, Any, None]]


async def _always() -> bool:
    return True


def owner_name(process: str) -> str:
    """Names this very process, for leases: `campaign-relay@host:pid`."""
    return f"{process}@{os.uname().nodename}:{os.getpid()}"


def run_process(
    name: str,
    settings: ServiceSettings,
    *,
    prepare: Callable[[], Awaitable[Mapping[str, Part]]],
    ready: Check = _always,
    live: Check = _always,
    close: Callable[[], Awaitable[None]] | None = None,
    drain_seconds: float = 8,
) -> None:
    """Run until a signal comes, then exit the interpreter: 0 after a signal, 1 when a part died.

    `prepare` runs inside the event loop and answers the parts by name; the admin port is already
    open then, and answers not ready until `prepare` is done.
    """
    gc.freeze()  # modules stay for good
    gc.enable()  # off while they were imported, see `commands`
    logging.configure(name, settings.log_level)
    sys.exit(uvloop.run(_run(name, settings, prepare, ready, live, close, drain_seconds)))


async def _run(
    name: str, settings: ServiceSettings, prepare: Callable[[], Awaitable[Mapping[str, Part]]],
    ready: Check, live: Check, close: Callable[[], Awaitable[None]] | None, drain_seconds: float,
) -> int:  # fmt: skip
    log = logging.get_logger()
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for sign in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(sign, stop.set)
    prepared = False

    async def is_ready() -> bool:
        return prepared and not stop.is_set() and await ready()

    admin = admin_server(host=settings.host, port=settings.admin_port, live=live, ready=is_ready)
    tasks = [asyncio.create_task(_serve(admin), name="admin")]
    stopping = asyncio.create_task(stop.wait(), name="signal")
    code = 0
    try:
        preparing = asyncio.ensure_future(prepare())
        await asyncio.wait({preparing, stopping, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        if preparing.done():
            parts = preparing.result()
            # What was made so far stays for good: no collection looks at it again. Each full one would
            # hold up all requests for some 80 ms.
            gc.collect()
            gc.freeze()
            prepared = True
            tasks += [asyncio.create_task(part(), name=part_name) for part_name, part in parts.items()]
            log.info("process.started", parts=sorted(parts), admin_port=settings.admin_port)
            done, _ = await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
        else:
            preparing.cancel()
            done = {task for task in tasks if task.done()}
        for task in done - {stopping}:
            code = 1
            error = None if task.cancelled() else task.exception()
            log.error("process.part_died", part=task.get_name(), exc_info=error)
    finally:
        log.info("process.stopping", code=code)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.wait({*tasks, stopping}, timeout=drain_seconds)
        if close is not None:
            await close()
    return code


async def _serve(server: uvicorn.Server) -> None:
    """Serve until cancelled, then let running requests end (uvicorn's own graceful time)."""
    # uvicorn would install its own signal handlers; this process has one place for signals.
    serving = asyncio.create_task(server._serve(), name="uvicorn")
    try:
        await asyncio.shield(serving)
        raise RuntimeError("the server ended")
    except SystemExit as error:
        raise RuntimeError("the server could not listen") from error
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def api_part(app: object, settings: ServiceSettings) -> Part:
    """Serve `app` on the settings' host and port."""

    async def serve() -> None:
        await _serve(quiet_server(app, host=settings.host, port=settings.port))

    return serve
