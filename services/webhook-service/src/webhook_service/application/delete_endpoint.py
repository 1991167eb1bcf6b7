"""Unsubscribe."""

from webhook_service.application.ports import ApiPorts
from webhook_service.domain.delivery import Status
from webhook_service.domain.errors import EndpointNotFound


async def delete_endpoint(org: str, endpoint_id: str, *, ports: ApiPorts) -> None:
    """Delete the endpoint and end what it still waits for. Raises EndpointNotFound.

    The endpoint goes first: from then on nothing is sent, and the deliverer itself ends what a crash
    between the two steps leaves pending.
    """
    if not await ports.endpoints.remove(org, endpoint_id):
        raise EndpointNotFound
    await ports.deliveries.settle_all(endpoint_id, Status.FAILED)
