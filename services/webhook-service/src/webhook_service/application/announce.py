"""Tell the deliverers of what an owner asks for: it is meant for now."""

from collections.abc import Sequence

from webhook_service.application.ports import ApiPorts
from webhook_service.domain.delivery import Delivery, Due
from webhook_service.domain.endpoint import Endpoint


def due_of(delivery: Delivery) -> Due:
    """Where it queues."""
    return Due(delivery.key, delivery.endpoint_id, delivery.campaign_id, delivery.sequence)


async def announce(endpoint: Endpoint, dues: Sequence[Due], *, ports: ApiPorts) -> None:
    """Ring the bell; a pause of the endpoint ends, for its owner asks for an attempt now.

    After a pause one delivery goes as a probe, and its answer decides about the rest. Deaths in between
    cost time only: deliverers look by themselves, and the pause ends by itself.
    """
    now = ports.clock.now()
    if endpoint.paused_until is not None and endpoint.paused_until > now:
        await ports.endpoints.pause(endpoint, until=now, again=False)
        await ports.deliveries.release(endpoint.id, now=now)
    await ports.bell.ring(dues)
