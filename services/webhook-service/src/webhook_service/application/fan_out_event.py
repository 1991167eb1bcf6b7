"""A campaign event becomes one delivery for each endpoint that wants it."""

import json
from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Envelope, format_time
from contracts.events.campaign import CampaignEvent
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Inbox, Transactions, Tx

from webhook_service.application.ports import Deliveries, Endpoints
from webhook_service.domain.delivery import Delivery, Status

CampaignEnvelope = Envelope[CampaignEvent]


def event_body(event: CampaignEnvelope) -> bytes:
    """The body that subscribers get, as Standard Webhooks lays it out: `{"type", "timestamp", "data"}`."""
    data = {**event.data.public(), "sequence": event.sequence}
    body = {"type": event.type, "timestamp": format_time(event.time), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class FanOut:
    """Handles campaign events. Called with an event that took effect before, it raises AlreadyHandled."""

    transactions: Transactions
    inbox: Inbox
    endpoints: Endpoints
    deliveries: Deliveries
    clock: Clock

    async def __call__(self, event: CampaignEnvelope) -> int:
        """Store the deliveries; how many. The body is frozen here: every attempt sends the same bytes."""
        body = event_body(event)

        async def work(tx: Tx) -> int:
            await self.inbox.mark(tx, event.id)
            now = self.clock.now()
            wanted = [
                item
                for item in await self.endpoints.active(tx, event.orgid)
                if item.wants(event.type, event.subject)
            ]
            await self.deliveries.add(tx, [_delivery(event, item.id, body, now) for item in wanted])
            return len(wanted)

        return await self.transactions.run(work)


def _delivery(event: CampaignEnvelope, endpoint_id: str, body: bytes, now: datetime) -> Delivery:
    return Delivery(
        id=new_id("dlv"),
        org=event.orgid,
        endpoint_id=endpoint_id,
        event_id=event.id,
        event_type=event.type,
        campaign_id=event.subject,
        sequence=event.sequence or 0,
        body=body,
        status=Status.PENDING,
        attempts=(),
        next_attempt_at=now,
        response_body=None,
        created_at=now,
    )
