"""Unsubscribe."""

from collections.abc import Collection

from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_endpoint
from webhook_service.domain.delivery import Status
from webhook_service.domain.errors import PreconditionFailed, VersionConflict

ATTEMPTS = 5


async def delete_endpoint(
    org: str, endpoint_id: str, *, versions: Collection[int] | None, ports: ApiPorts
) -> None:
    """Delete the endpoint, if of one of `versions` (None: of any), and end what it still waits for.

    Raises EndpointNotFound, PreconditionFailed, VersionConflict. The endpoint goes first: from then on
    nothing is sent, and the deliverer itself ends what a crash between the two steps leaves pending.
    """
    for _ in range(ATTEMPTS):
        endpoint = await find_endpoint(org, endpoint_id, ports=ports)
        if versions is not None and endpoint.version not in versions:
            raise PreconditionFailed
        if await ports.endpoints.remove(org, endpoint_id, expected_version=endpoint.version):
            break
    else:
        raise VersionConflict
    await ports.deliveries.settle_all(endpoint_id, Status.FAILED)
