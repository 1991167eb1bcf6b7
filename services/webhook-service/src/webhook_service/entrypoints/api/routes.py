"""/webhooks."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AfterValidator
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, Success

from webhook_service.application.create_endpoint import create_endpoint
from webhook_service.application.delete_endpoint import delete_endpoint
from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_endpoint, list_deliveries
from webhook_service.domain.delivery import Status
from webhook_service.entrypoints.api.schemas import (
    CreatedWebhook,
    CreateWebhook,
    Deleted,
    DeliveryList,
    DeliveryOut,
    Webhook,
    WebhookList,
    known_event,
)

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

_STATUSES = {
    None: (),
    "pending": (Status.PENDING, Status.PARKED),
    "succeeded": (Status.SUCCEEDED,),
    "failed": (Status.FAILED,),
}


async def _ports(request: Request) -> ApiPorts:
    ports: ApiPorts = request.app.state.ports
    return ports


Ports = Annotated[ApiPorts, Depends(_ports)]
Limit = Annotated[int, Query(ge=1, le=100)]


@router.post("", status_code=201, summary="Create a webhook")
async def create(
    body: CreateWebhook, caller: Editor, ports: Ports, response: Response
) -> Success[CreatedWebhook]:
    """Subscribe a URL to events. The secret is in this answer and never shown again."""
    endpoint, secret = await create_endpoint(body.command(caller.org), ports=ports)
    response.headers["Cache-Control"] = "no-store"
    return Success(data=CreatedWebhook.with_secret(endpoint, secret))


@router.get("", summary="List webhooks")
async def list_all(
    caller: Viewer, ports: Ports, page: Annotated[int, Query(ge=1, le=1_000_000)] = 1, limit: Limit = 20
) -> Success[WebhookList]:
    """The organisation's webhooks, newest first."""
    found, total = await ports.endpoints.page(caller.org, skip=(page - 1) * limit, limit=limit)
    pagination = Pagination.of(page=page, limit=limit, total=total)
    return Success(data=WebhookList(webhooks=[Webhook.of(item) for item in found], pagination=pagination))


@router.get("/{webhook_id}", summary="Get a webhook")
async def get(webhook_id: str, caller: Viewer, ports: Ports) -> Success[Webhook]:
    """One webhook."""
    return Success(data=Webhook.of(await find_endpoint(caller.org, webhook_id, ports=ports)))


@router.delete("/{webhook_id}", summary="Delete a webhook")
async def delete(webhook_id: str, caller: Editor, ports: Ports) -> Success[Deleted]:
    """Unsubscribe; what has not been delivered yet is not."""
    await delete_endpoint(caller.org, webhook_id, ports=ports)
    return Success(data=Deleted())


@router.get("/{webhook_id}/deliveries", summary="List a webhook's deliveries")
async def deliveries(
    webhook_id: str,
    caller: Viewer,
    ports: Ports,
    status: Literal["pending", "succeeded", "failed"] | None = None,
    event: Annotated[str, AfterValidator(known_event)] | None = None,
    limit: Limit = 20,
    cursor: Annotated[str | None, Query(pattern=r"^dlv_[0-9A-Z]{26}$")] = None,
) -> Success[DeliveryList]:
    """What was sent, what came back, and what waits, newest first."""
    found, following = await list_deliveries(
        caller.org, webhook_id, statuses=_STATUSES[status], event_type=event, cursor=cursor, limit=limit,
        ports=ports,
    )  # fmt: skip
    return Success(
        data=DeliveryList(deliveries=[DeliveryOut.of(item) for item in found], next_cursor=following)
    )
