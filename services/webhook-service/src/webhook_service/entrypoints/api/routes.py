"""/webhooks."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Pagination, Success
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import PathId

from webhook_service.application.create_endpoint import create_endpoint
from webhook_service.application.delete_endpoint import delete_endpoint
from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_endpoint, list_deliveries
from webhook_service.domain.delivery import Status
from webhook_service.domain.errors import EndpointNotFound, TargetRefused
from webhook_service.entrypoints.api.schemas import (
    CreatedWebhook,
    CreateWebhook,
    Deleted,
    DeliveryList,
    DeliveryOut,
    EventType,
    Webhook,
    WebhookList,
)
from webhook_service.entrypoints.errors import answers

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
Page = Annotated[int, Query(ge=1, le=1_000_000, description="Page number.")]
Limit = Annotated[int, Query(ge=1, le=100, description="Items at most.")]


@router.post(
    "",
    status_code=201,
    operation_id="createWebhook",
    response_model=Success[CreatedWebhook],
    responses=answers(TargetRefused("must be https"), headers=["Cache-Control"]),
)
async def create(body: CreateWebhook, caller: Editor, ports: Ports, once: Once) -> Response:
    """Subscribe a URL to events. The secret is in this answer and never shown again."""
    wish = body.wish()
    return await once(
        lambda transactions: create_endpoint(caller.org, wish, ports=ports, transactions=transactions),
        answer=lambda created: Answer(
            201, Success(data=CreatedWebhook.with_secret(*created)), headers={"Cache-Control": "no-store"}
        ),
    )


@router.get("", operation_id="listWebhooks")
async def list_all(caller: Viewer, ports: Ports, page: Page = 1, limit: Limit = 20) -> Success[WebhookList]:
    """The organisation's webhooks, newest first."""
    found, total = await ports.endpoints.page(caller.org, skip=(page - 1) * limit, limit=limit)
    pagination = Pagination.of(page=page, limit=limit, total=total)
    return Success(data=WebhookList(webhooks=[Webhook.of(item) for item in found], pagination=pagination))


@router.get("/{webhook_id}", operation_id="getWebhook", responses=answers(EndpointNotFound))
async def get(webhook_id: PathId, caller: Viewer, ports: Ports) -> Success[Webhook]:
    """One webhook."""
    return Success(data=Webhook.of(await find_endpoint(caller.org, webhook_id, ports=ports)))


@router.delete("/{webhook_id}", operation_id="deleteWebhook", responses=answers(EndpointNotFound))
async def delete(webhook_id: PathId, caller: Editor, ports: Ports) -> Success[Deleted]:
    """Unsubscribe; what has not been delivered yet is not."""
    await delete_endpoint(caller.org, webhook_id, ports=ports)
    return Success(data=Deleted())


@router.get(
    "/{webhook_id}/deliveries", operation_id="listWebhookDeliveries", responses=answers(EndpointNotFound)
)
async def deliveries(
    webhook_id: PathId,
    caller: Viewer,
    ports: Ports,
    status: Annotated[
        Literal["pending", "succeeded", "failed"] | None, Query(description="Only those that stand so.")
    ] = None,
    event: Annotated[EventType | None, Query(description="Only those of this event type.")] = None,
    limit: Limit = 20,
    cursor: Annotated[
        str | None, Query(pattern=r"^dlv_[0-9A-Z]{26}$", description="`nextCursor` of the page before.")
    ] = None,
) -> Success[DeliveryList]:
    """What was sent, what came back, and what waits, newest first."""
    found, following = await list_deliveries(
        caller.org, webhook_id, statuses=_STATUSES[status], event_type=event, cursor=cursor, limit=limit,
        ports=ports,
    )  # fmt: skip
    return Success(
        data=DeliveryList(deliveries=[DeliveryOut.of(item) for item in found], next_cursor=following)
    )
