"""/webhooks: subscriptions, their secrets, and what there is to subscribe to."""

from fastapi import APIRouter, Response
from service_kit.api.app import Admin, Editor, Viewer
from service_kit.api.envelope import Pagination, Success
from service_kit.api.etags import IfMatch, etag
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import PathId

from webhook_service.application.change_endpoint import change_endpoint, rotate_secret
from webhook_service.application.create_endpoint import create_endpoint
from webhook_service.application.delete_endpoint import delete_endpoint
from webhook_service.application.event_catalogue import event_catalogue
from webhook_service.application.read_endpoints import find_endpoint
from webhook_service.application.send_test import send_test
from webhook_service.domain.errors import (
    EndpointDisabled,
    EndpointNotFound,
    PreconditionFailed,
    TargetRefused,
    TooManyEndpoints,
    TooManySecrets,
    VersionConflict,
)
from webhook_service.entrypoints.api.delivery_schemas import DeliveryOut
from webhook_service.entrypoints.api.dependencies import Limit, Page, Ports
from webhook_service.entrypoints.api.schemas import (
    CreatedWebhook,
    CreateWebhook,
    Deleted,
    EventTypeList,
    EventTypeOut,
    RotatedSecret,
    Webhook,
    WebhookList,
    WebhookPatch,
)
from webhook_service.entrypoints.errors import answers

router = APIRouter(prefix="/webhooks", tags=["webhooks"])
_NOT_STORED = {"Cache-Control": "no-store"}


@router.post(
    "",
    status_code=201,
    operation_id="createWebhook",
    response_model=Success[CreatedWebhook],
    responses=answers(
        TargetRefused("must be https"), TooManyEndpoints(1_000), headers=["Cache-Control", "ETag"]
    ),
)
async def create(body: CreateWebhook, caller: Editor, ports: Ports, once: Once) -> Response:
    """Subscribe a URL to events. The secret is in this answer and never shown again."""
    wish = body.wish()
    return await once(
        lambda transactions: create_endpoint(caller.org, wish, ports=ports, transactions=transactions),
        answer=lambda created: Answer(
            201,
            Success(data=CreatedWebhook.with_secret(*created)),
            headers={**_NOT_STORED, "ETag": etag(created[0].version)},
        ),
    )


@router.get("", operation_id="listWebhooks")
async def list_all(caller: Viewer, ports: Ports, page: Page = 1, limit: Limit = 20) -> Success[WebhookList]:
    """The organisation's webhooks, newest first."""
    found, total = await ports.endpoints.page(caller.org, skip=(page - 1) * limit, limit=limit)
    pagination = Pagination.of(page=page, limit=limit, total=total)
    return Success(data=WebhookList(webhooks=[Webhook.of(item) for item in found], pagination=pagination))


@router.get("/event-types", operation_id="listWebhookEventTypes")
async def event_types(_caller: Viewer) -> Success[EventTypeList]:
    """Every event type, with the JSON Schema of its body and an example."""
    return Success(data=EventTypeList(event_types=[EventTypeOut.of(info) for info in event_catalogue()]))


@router.get("/{webhook_id}", operation_id="getWebhook", responses=answers(EndpointNotFound, headers=["ETag"]))
async def get(webhook_id: PathId, caller: Viewer, ports: Ports, response: Response) -> Success[Webhook]:
    """One webhook. The `ETag` is its version."""
    endpoint = await find_endpoint(caller.org, webhook_id, ports=ports)
    response.headers["ETag"] = etag(endpoint.version)
    return Success(data=Webhook.of(endpoint))


@router.put(
    "/{webhook_id}",
    operation_id="updateWebhook",
    responses=answers(
        EndpointNotFound,
        VersionConflict,
        PreconditionFailed,
        TargetRefused("must be https"),
        headers=["ETag"],
    ),
)
async def put(
    webhook_id: PathId,
    patch: WebhookPatch,
    caller: Editor,
    ports: Ports,
    if_match: IfMatch,
    response: Response,
) -> Success[Webhook]:
    """Change a webhook (JSON Merge Patch). Switched off, what waits is parked; switched on again, it stays
    parked until it is recovered. With another URL, the values of headers must be given anew."""
    endpoint = await change_endpoint(caller.org, webhook_id, patch.wish, versions=if_match, ports=ports)
    response.headers["ETag"] = etag(endpoint.version)
    return Success(data=Webhook.of(endpoint))


@router.delete(
    "/{webhook_id}",
    operation_id="deleteWebhook",
    responses=answers(EndpointNotFound, VersionConflict, PreconditionFailed),
)
async def delete(webhook_id: PathId, caller: Editor, ports: Ports, if_match: IfMatch) -> Success[Deleted]:
    """Unsubscribe; what has not been delivered yet is not."""
    await delete_endpoint(caller.org, webhook_id, versions=if_match, ports=ports)
    return Success(data=Deleted())


@router.post(
    "/{webhook_id}/rotate-secret",
    operation_id="rotateWebhookSecret",
    response_model=Success[RotatedSecret],
    responses=answers(EndpointNotFound, TooManySecrets, VersionConflict, headers=["Cache-Control"]),
)
async def rotate(webhook_id: PathId, caller: Admin, ports: Ports, once: Once) -> Response:
    """Make a new signing secret. For 24 h requests carry the signatures of both, the old one and this."""
    return await once(
        lambda transactions: rotate_secret(caller.org, webhook_id, ports=ports, transactions=transactions),
        answer=lambda rotated: Answer(200, Success(data=RotatedSecret.of(*rotated)), headers=_NOT_STORED),
    )


@router.post(
    "/{webhook_id}/test",
    status_code=201,
    operation_id="testWebhook",
    response_model=Success[DeliveryOut],
    responses=answers(EndpointNotFound, EndpointDisabled),
)
async def test(webhook_id: PathId, caller: Editor, ports: Ports, once: Once) -> Response:
    """Send a `webhook.test` event at once, by way of the same queue; the delivery shows what became of it."""
    return await once(
        lambda transactions: send_test(caller.org, webhook_id, ports=ports, transactions=transactions),
        answer=lambda delivery: Answer(201, Success(data=DeliveryOut.of(delivery))),
    )
