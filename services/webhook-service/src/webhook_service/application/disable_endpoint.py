"""Switch an endpoint off because of how it answers, and say so: both or neither."""

from dataclasses import dataclass

from contracts.envelope import new_event
from contracts.events.webhook import WebhookEndpointDisabled
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from webhook_service.application.ports import Deliveries, Endpoints
from webhook_service.domain.delivery import Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint

SOURCE = "/webhook-service"


async def park_waiting(endpoint: Endpoint, *, endpoints: Endpoints, deliveries: Deliveries) -> None:
    """Park what waits for an endpoint that was switched off, unless its owner has switched it on since.

    After a crash before this the deliverer parks each delivery as it comes due.
    """
    current = await endpoints.find(endpoint.org, endpoint.id)
    if current is not None and not current.active:
        await deliveries.settle_all(endpoint.id, Status.PARKED)


@dataclass(frozen=True, slots=True)
class DisableEndpoint:
    """Of several that see the same reason, one switches off and tells."""

    transactions: Transactions
    endpoints: Endpoints
    outbox: Outbox
    clock: Clock

    async def __call__(self, endpoint: Endpoint, reason: DisabledReason) -> bool:
        """Whether it was on, with the same url: what an earlier one answered is no reason."""
        now = self.clock.now()

        async def work(tx: Tx) -> bool:
            after = await self.endpoints.disable(tx, endpoint, reason=reason, now=now)
            if after is None:
                return False
            data = WebhookEndpointDisabled(
                webhook_id=after.id, reason=reason.value, failing_since=after.failing_since, disabled_at=now
            )
            await self.outbox.add(
                tx,
                new_event(
                    data, source=SOURCE, subject=after.id, org=after.org, time=now, sequence=after.version
                ),
            )
            return True

        return await self.transactions.run(work)
