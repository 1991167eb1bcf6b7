"""/webhooks/:id/deliveries: the log."""

from typing import Annotated

from fastapi import APIRouter, Query
from service_kit.api.app import Viewer
from service_kit.api.envelope import Success
from service_kit.api.types import PathId

from webhook_service.application.read_endpoints import find_delivery, list_deliveries
from webhook_service.domain.delivery import Status
from webhook_service.domain.errors import DeliveryNotFound, EndpointNotFound
from webhook_service.entrypoints.api.delivery_schemas import (
    DeliveryDetail,
    DeliveryList,
    DeliveryOut,
    SentType,
    StatusOut,
)
from webhook_service.entrypoints.api.dependencies import Limit, Ports
from webhook_service.entrypoints.errors import answers

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])
CURSOR = r"^dlv_[0-9A-Z]{26}$"


@router.get("/deliveries", operation_id="listWebhookDeliveries", responses=answers(EndpointNotFound))
async def deliveries(
    webhook_id: PathId,
    caller: Viewer,
    ports: Ports,
    status: Annotated[StatusOut | None, Query(description="Only those that stand so.")] = None,
    event: Annotated[SentType | None, Query(description="Only those of this event type.")] = None,
    limit: Limit = 20,
    cursor: Annotated[
        str | None, Query(pattern=CURSOR, description="`nextCursor` of the page before.")
    ] = None,
) -> Success[DeliveryList]:
    """What was sent, what came back, and what waits, newest first."""
    found, following = await list_deliveries(
        caller.org, webhook_id, statuses=() if status is None else (Status(status),), event_type=event,
        cursor=cursor, limit=limit, ports=ports,
    )  # fmt: skip
    return Success(
        data=DeliveryList(deliveries=[DeliveryOut.of(item) for item in found], next_cursor=following)
    )


@router.get(
    "/deliveries/{delivery_id}",
    operation_id="getWebhookDelivery",
    responses=answers(EndpointNotFound, DeliveryNotFound),
)
async def delivery(
    webhook_id: PathId, delivery_id: PathId, caller: Viewer, ports: Ports
) -> Success[DeliveryDetail]:
    """One delivery: its request, every attempt, and the last answer."""
    endpoint, found = await find_delivery(caller.org, webhook_id, delivery_id, ports=ports)
    return Success(data=DeliveryDetail.with_request(found, endpoint))
