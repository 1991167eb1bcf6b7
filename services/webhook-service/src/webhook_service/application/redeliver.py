"""Deliver again what has ended: one delivery, or all that an outage cost.

Neither needs a transaction: freeing a delivery that is free already changes nothing that counts, and one
that is sent twice carries the same webhook-id.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from service_kit.errors import Detail, FieldErrors

from webhook_service.application.announce import announce, due_of
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

MOST = 10_000
BATCH = 1_000
SECONDS = 1.0
"""How much one call recovers, in how many at once, and for how long: it answers in time whatever there is."""

SETTLING = timedelta(seconds=1)
"""So much later a batch comes due at an ordered endpoint: rows are freed in no order of lanes."""


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
    await announce(endpoint, [due_of(delivery)], ports=ports)
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
    found = await ports.deliveries.ended(endpoint_id, since=since, until=end, after=cursor, limit=MOST)
    count = done = 0
    while done < len(found) and (not done or (ports.clock.now() - now).total_seconds() < SECONDS):
        batch = [item.due for item in found[done : done + BATCH]]
        at = ports.clock.now()
        due_at = at + SETTLING if endpoint.ordered else at
        count += await ports.deliveries.revive([due.key for due in batch], now=at, due_at=due_at)
        done += len(batch)
        await announce(endpoint, batch, ports=ports)
    there_is_more = done < len(found) or len(found) == MOST
    return Recovered(count, found[done - 1].id if there_is_more else None)
