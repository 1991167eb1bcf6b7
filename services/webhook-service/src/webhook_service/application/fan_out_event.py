"""Campaign events become deliveries: one for each event and each endpoint that wants it."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts.envelope import Envelope, format_time
from contracts.events.campaign import CampaignEvent
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Inbox, Transactions, Tx

from webhook_service.application.ports import Deliveries, Endpoints
from webhook_service.application.ports_engine import Bell
from webhook_service.domain.delivery import Delivery, Due, Status
from webhook_service.domain.endpoint import Endpoint

CampaignEnvelope = Envelope[CampaignEvent]
MOST_DELIVERIES = 1_000
"""In one transaction, or in one write of an event that alone makes more."""


def event_body(event: CampaignEnvelope) -> bytes:
    """The body that subscribers get, as Standard Webhooks lays it out: `{"type", "timestamp", "data"}`."""
    data = {**event.data.public(), "sequence": event.sequence}
    body = {"type": event.type, "timestamp": format_time(event.time), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class FanOut:
    """Handles campaign events. Called with one that took effect before, it raises AlreadyHandled.

    The endpoints are read before the transaction: an event that comes while one is changed may have come
    before or after, and the deliverer looks at the endpoint again. What is switched off gets its deliveries
    parked, so that they can be recovered.
    """

    transactions: Transactions
    inbox: Inbox
    endpoints: Endpoints
    deliveries: Deliveries
    bell: Bell
    clock: Clock

    async def __call__(self, *events: CampaignEnvelope) -> Counter[str]:
        """Store the deliveries; how many of each type. Events of one campaign must come in their order."""
        endpoints: dict[str, list[Endpoint]] = defaultdict(list)
        for endpoint in await self.endpoints.of_orgs({event.orgid for event in events}):
            endpoints[endpoint.org].append(endpoint)
        made: Counter[str] = Counter()
        now = self.clock.now()
        for group in _groups(events, endpoints):
            deliveries = [item for event in group for item in _deliveries(event, endpoints[event.orgid], now)]
            await self._store(group, deliveries)
            made.update(item.event_type for item in deliveries)
        return made

    async def _store(self, events: Sequence[CampaignEnvelope], deliveries: Sequence[Delivery]) -> None:
        """All of it together, unless that is too much for a transaction, which is one event's alone then.

        That one's deliveries are stored bit by bit, and only when all are there it counts as handled. Who
        repeats it after a death in between finds some of them there, under the very same keys.
        """
        few = len(deliveries) <= MOST_DELIVERIES
        for start in [] if few else range(0, len(deliveries), MOST_DELIVERIES):
            await self.deliveries.ensure(deliveries[start : start + MOST_DELIVERIES])

        async def work(tx: Tx) -> None:
            await self.inbox.mark(tx, *[event.id for event in events])
            if few:
                await self.deliveries.add(tx, deliveries)

        await self.transactions.run(work)
        pending = [item for item in deliveries if item.status is Status.PENDING]
        await self.bell.ring(
            [Due(item.key, item.endpoint_id, item.campaign_id, item.sequence) for item in pending]
        )


def _groups(
    events: Sequence[CampaignEnvelope], endpoints: dict[str, list[Endpoint]]
) -> Iterator[list[CampaignEnvelope]]:
    """The events in their order, in transactions of a bearable size."""
    group: list[CampaignEnvelope] = []
    size = 0
    for event in events:
        more = len(endpoints[event.orgid]) + 1
        if group and size + more > MOST_DELIVERIES:
            yield group
            group, size = [], 0
        group.append(event)
        size += more
    if group:
        yield group


def _deliveries(event: CampaignEnvelope, endpoints: Sequence[Endpoint], now: datetime) -> Iterator[Delivery]:
    """The body is frozen here: every attempt sends the same bytes."""
    wanted = [item for item in endpoints if item.wants(event.type, event.subject)]
    body = event_body(event) if wanted else b""
    for endpoint in wanted:
        yield Delivery(
            id=new_id("dlv"),
            org=event.orgid,
            endpoint_id=endpoint.id,
            event_id=event.id,
            event_type=event.type,
            campaign_id=event.subject,
            sequence=event.sequence or 0,
            body=body,
            status=Status.PENDING if endpoint.active else Status.PARKED,
            attempts=(),
            next_attempt_at=now if endpoint.active else None,
            response_body=None,
            created_at=now,
        )
