"""A test event for one endpoint, by way of the same queue as all others."""

import json

from contracts.envelope import format_time
from contracts.ids import new_id
from service_kit.ports import Transactions, Tx

from webhook_service.application.announce import announce, due_of
from webhook_service.application.event_types import TEST_EVENT
from webhook_service.application.ports import ApiPorts
from webhook_service.application.read_endpoints import find_endpoint
from webhook_service.domain.delivery import NO_CAMPAIGN, Delivery, Status
from webhook_service.domain.errors import EndpointDisabled


async def send_test(org: str, endpoint_id: str, *, ports: ApiPorts, transactions: Transactions) -> Delivery:
    """The delivery, due at once, whatever the endpoint's filters say.

    Raises EndpointNotFound, EndpointDisabled.
    """
    endpoint = await find_endpoint(org, endpoint_id, ports=ports)
    if not endpoint.active:
        raise EndpointDisabled
    now = ports.clock.now()
    body = {
        "type": TEST_EVENT,
        "timestamp": format_time(now),
        "data": {"webhookId": endpoint.id, "message": "This is a test: nothing has happened."},
    }
    delivery = Delivery(
        id=new_id("dlv"),
        org=org,
        endpoint_id=endpoint.id,
        event_id=new_id("evt"),
        event_type=TEST_EVENT,
        campaign_id=NO_CAMPAIGN,
        sequence=0,
        body=json.dumps(body, separators=(",", ":")).encode(),
        status=Status.PENDING,
        attempts=(),
        next_attempt_at=now,
        response_body=None,
        created_at=now,
    )

    async def work(tx: Tx) -> Delivery:
        await ports.deliveries.add(tx, [delivery])
        return delivery

    stored = await transactions.run(work)
    await announce(endpoint, [due_of(stored)], ports=ports)
    return stored
