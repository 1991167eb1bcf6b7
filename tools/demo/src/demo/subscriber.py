"""A webhook subscriber as a customer would write it: verifies each signature with `standardwebhooks`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


@dataclass
class Subscriber:
    """What arrived. `secret` is known once the endpoint is registered."""

    url: str = ""
    secret: str | None = None
    verified: list[dict[str, Any]] = field(default_factory=list)
    refused: int = 0

    async def receive(self, request: Request) -> Response:
        """Take one delivery: 204 when its signature is right, 401 when not."""
        body = await request.body()
        try:
            if self.secret is None:
                raise WebhookVerificationError("the secret is not known yet")
            event: dict[str, Any] = Webhook(self.secret).verify(body, dict(request.headers))
        except WebhookVerificationError:
            self.refused += 1
            return Response(status_code=401)
        self.verified.append({**event, "id": request.headers["webhook-id"]})
        return Response(status_code=204)

    def types(self, campaign_id: str) -> list[str]:
        """The types that arrived for a campaign, each event once, in order of arrival."""
        seen: dict[str, str] = {}
        for event in self.verified:
            if event["data"]["campaignId"] == campaign_id:
                seen.setdefault(event["id"], event["type"])
        return list(seen.values())


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Subscriber]:
    """A subscriber on a free port of loopback."""
    subscriber = Subscriber()
    app = Starlette(routes=[Route("/hooks", subscriber.receive, methods=["POST"])])
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        if serving.done():
            serving.result()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    subscriber.url = f"http://127.0.0.1:{port}/hooks"
    try:
        yield subscriber
    finally:
        server.should_exit = True
        await serving
