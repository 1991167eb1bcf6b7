"""What an organisation may read about its endpoints and their deliveries."""

from collections.abc import Sequence

from webhook_service.application.ports import ApiPorts
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.errors import DeliveryNotFound, EndpointNotFound


async def find_endpoint(org: str, endpoint_id: str, *, ports: ApiPorts) -> Endpoint:
    """The endpoint. Raises EndpointNotFound, also for another organisation's."""
    endpoint = await ports.endpoints.find(org, endpoint_id)
    if endpoint is None:
        raise EndpointNotFound
    return endpoint


async def list_deliveries(
    org: str, endpoint_id: str, *, statuses: Sequence[Status], event_type: str | None, cursor: str | None,
    limit: int, ports: ApiPorts,
) -> tuple[list[Delivery], str | None]:  # fmt: skip
    """One page of deliveries, newest first, and the cursor of the next (None at the end).

    Raises EndpointNotFound. Deliveries are found by endpoint alone: asking for the endpoint first is
    what keeps other organisations out.
    """
    await find_endpoint(org, endpoint_id, ports=ports)
    found = await ports.deliveries.page(
        endpoint_id, statuses=statuses, event_type=event_type, before=cursor, limit=limit + 1
    )
    page = found[:limit]
    return page, page[-1].id if len(found) > limit else None


async def find_delivery(
    org: str, endpoint_id: str, delivery_id: str, *, ports: ApiPorts
) -> tuple[Endpoint, Delivery]:
    """The delivery and its endpoint. Raises EndpointNotFound, DeliveryNotFound."""
    endpoint = await find_endpoint(org, endpoint_id, ports=ports)
    delivery = await ports.deliveries.find(endpoint_id, delivery_id)
    if delivery is None:
        raise DeliveryNotFound
    return endpoint, delivery
