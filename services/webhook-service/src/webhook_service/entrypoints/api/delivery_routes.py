"""/webhooks/:id/deliveries and /webhooks/:id/recover: the log, and what can be sent again."""

from typing import Annotated

from fastapi import APIRouter, Query, Response
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import Success
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import PathId

from webhook_service.application.read_endpoints import find_delivery, list_deliveries
from webhook_service.application.redeliver import recover_deliveries, retry_delivery
from webhook_service.domain.delivery import Status
from webhook_service.domain.errors import (
    DeliveryNotFound,
    DeliveryUnderWay,
    EndpointDisabled,
    EndpointNotFound,
    TooManyAttempts,
)
from webhook_service.entrypoints.api.delivery_schemas import (
    CURSOR,
    DeliveryDetail,
    DeliveryList,
    DeliveryOut,
    RecoveredOut,
    RecoverIn,
    SentType,
    StatusOut,
)
from webhook_service.entrypoints.api.dependencies import Limit, Ports
from webhook_service.entrypoints.errors import answers

router = APIRouter(prefix="/webhooks/{webhook_id}", tags=["webhooks"])


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


@router.post(
    "/deliveries/{delivery_id}/retry",
    operation_id="retryWebhookDelivery",
    response_model=Success[DeliveryOut],
    responses=answers(
        EndpointNotFound, DeliveryNotFound, EndpointDisabled, DeliveryUnderWay, TooManyAttempts
    ),
)
async def retry(
    webhook_id: PathId, delivery_id: PathId, caller: Editor, ports: Ports, once: Once
) -> Response:
    """Make one attempt more at once, whatever became of the delivery; it carries the same `webhook-id`."""
    return await once(
        lambda _: retry_delivery(caller.org, webhook_id, delivery_id, ports=ports),
        answer=lambda found: Answer(200, Success(data=DeliveryOut.of(found))),
    )


@router.post(
    "/recover",
    operation_id="recoverWebhookDeliveries",
    response_model=Success[RecoveredOut],
    responses=answers(EndpointNotFound, EndpointDisabled),
)
async def recover(webhook_id: PathId, body: RecoverIn, caller: Editor, ports: Ports, once: Once) -> Response:
    """Send again what failed or was parked, of events since a time, oldest first. A call recovers 10,000 at
    most: go on with `nextCursor` until it is null."""
    return await once(
        lambda _: recover_deliveries(
            caller.org, webhook_id, since=body.since, until=body.until, cursor=body.cursor, ports=ports
        ),
        answer=lambda found: Answer(
            200, Success(data=RecoveredOut(recovered=found.count, next_cursor=found.next_cursor))
        ),
    )
