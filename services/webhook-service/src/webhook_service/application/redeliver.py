"""Deliver again what has ended: one delivery, or all that an outage cost.

Neither needs a transaction: freeing a delivery that is free already changes nothing that counts, and one
that is sent twice carries the same webhook-id.
"""

from dataclasses import dataclass
from datetime import datetime

from service_kit.errors import Detail, FieldErrors

from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_delivery, find_endpoint
from webhook_service.domain.delivery import Delivery
from webhook_service.domain.errors import (
    MAX_ATTEMPTS,
    DeliveryNotFound,
    DeliveryUnderWay,
    EndpointDisabled,
    TooManyAttempts,
)

BATCH = 1_000
MOST = 10_000
SECONDS = 1.0
"""How much is recovered by one call: so that it answers in time whatever there is to recover."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many deliveries wait again, and the id behind which there may be more (None: there is none)."""

    count: int
    next_cursor: str | None


async def retry_delivery(org: str, endpoint_id: str, delivery_id: str, *, ports: ApiPorts) -> Delivery:
    """The delivery, due at once for one attempt more, whatever became of it.

    Raises EndpointNotFound, DeliveryNotFound, EndpointDisabled, TooManyAttempts, DeliveryUnderWay.
    """
    endpoint, before = await find_delivery(org, endpoint_id, delivery_id, ports=ports)
    if not endpoint.active:
        raise EndpointDisabled
    if len(before.attempts) >= MAX_ATTEMPTS:
        raise TooManyAttempts
    if not await ports.deliveries.retry(endpoint_id, delivery_id, now=ports.clock.now()):
        raise DeliveryUnderWay
    delivery = await ports.deliveries.find(endpoint_id, delivery_id)
    if delivery is None:  # its time to be kept ended just now
        raise DeliveryNotFound
    return delivery


async def recover_deliveries(
    org: str,
    endpoint_id: str,
    *,
    since: datetime,
    until: datetime | None,
    cursor: str | None,
    ports: ApiPorts,
) -> Recovered:
    """Let what failed or was parked wait again, of events from `since` until before `until`, oldest first.

    At most MOST of them, and for SECONDS: the caller goes on with the cursor. Each begins its schedule anew.
    Raises EndpointNotFound, EndpointDisabled, FieldErrors.
    """
    endpoint = await find_endpoint(org, endpoint_id, ports=ports)
    if not endpoint.active:
        raise EndpointDisabled
    now = ports.clock.now()
    end = now if until is None else until
    if end <= since:
        rule = "must be in the past" if until is None else "must be before until"
        raise FieldErrors(f"since: {rule}", details=[Detail("since", rule)])
    count = 0
    while True:
        found, cursor = await ports.deliveries.recover(
            endpoint_id, since=since, until=end, after=cursor, limit=BATCH, now=now
        )
        count += found
        late = (ports.clock.now() - now).total_seconds() > SECONDS
        if cursor is None or count >= MOST or late:
            return Recovered(count, cursor)
