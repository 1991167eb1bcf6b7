"""What the routes share."""

from typing import Annotated

from fastapi import Depends, Query, Request

from webhook_service.application.ports import ApiPorts


async def _ports(request: Request) -> ApiPorts:
    ports: ApiPorts = request.app.state.ports
    return ports


Ports = Annotated[ApiPorts, Depends(_ports)]
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Page number.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Items at most.")]
