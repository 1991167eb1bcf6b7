"""The admin port of every process: /livez, /readyz, /metrics. Never behind the gateway."""

from collections.abc import Awaitable, Callable

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

Check = Callable[[], Awaitable[bool]]


def admin_server(*, host: str, port: int, live: Check, ready: Check) -> uvicorn.Server:
    """A server that runs beside the process's work in the same event loop."""

    async def answer(check: Check) -> PlainTextResponse:
        good = await check()
        return PlainTextResponse("ok\n" if good else "no\n", status_code=200 if good else 503)

    async def livez(_: Request) -> PlainTextResponse:
        return await answer(live)

    async def readyz(_: Request) -> PlainTextResponse:
        return await answer(ready)

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    app = Starlette(
        routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)],
    )
    return quiet_server(app, host=host, port=port)


def quiet_server(app: object, *, host: str, port: int) -> uvicorn.Server:
    """Uvicorn with our logging, and signals left to the process."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # uvicorn's union of ASGI flavours
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=8,
        server_header=False,
        date_header=True,
        timeout_keep_alive=75,
    )
    return uvicorn.Server(config)
