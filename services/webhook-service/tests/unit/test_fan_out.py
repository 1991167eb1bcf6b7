"""An event becomes deliveries."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from service_kit.errors import AlreadyHandled
from service_kit.testing.fakes import FixedClock, InMemoryInbox, InMemoryTransactions
from webhook_service.application.event_types import EVENT_TYPES
from webhook_service.application.fan_out_event import FanOut
from webhook_service.entrypoints.subscriptions import subscriptions
from webhook_service.testing.fakes import InMemoryDeliveries, InMemoryEndpoints


@pytest.fixture
def fan_out(now: datetime) -> FanOut:
    return FanOut(
        InMemoryTransactions(), InMemoryInbox(), InMemoryEndpoints(), InMemoryDeliveries(), FixedClock(now)
    )


def stored(fan_out: FanOut) -> list[Any]:
    assert isinstance(fan_out.deliveries, InMemoryDeliveries)
    return [row.delivery for row in fan_out.deliveries.rows.values()]


async def subscribe(fan_out: FanOut, endpoint: Any) -> None:
    await fan_out.transactions.run(lambda tx: fan_out.endpoints.add(tx, endpoint))


async def test_only_active_endpoints_of_the_organisation_that_want_the_type_get_a_delivery(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    wanted = [make_endpoint(), make_endpoint(events=("campaign.failed", "campaign.created"))]
    others = [
        make_endpoint(events=("campaign.started",)),
        make_endpoint(active=False),
        make_endpoint(org="other"),
    ]
    for endpoint in wanted + others:
        await subscribe(fan_out, endpoint)
    assert await fan_out(make_event()) == 2
    assert {item.endpoint_id for item in stored(fan_out)} == {item.id for item in wanted}


async def test_an_event_seen_twice_is_one_delivery(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    await subscribe(fan_out, make_endpoint())
    event = make_event()
    await fan_out(event)
    with pytest.raises(AlreadyHandled):
        await fan_out(event)
    assert len(stored(fan_out)) == 1


async def test_the_body_has_the_public_fields_and_the_sequence_and_nothing_of_the_audience(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    await subscribe(fan_out, make_endpoint())
    await fan_out(make_event(sequence=7))
    assert json.loads(stored(fan_out)[0].body) == {
        "type": "campaign.created",
        "timestamp": "2026-01-01T12:00:00Z",
        "data": {
            "campaignId": "camp_1", "name": "Été ☀️", "type": "message", "status": "draft", "testMode": False,
            "sequence": 7,
        },
    }  # fmt: skip


def test_every_type_that_can_be_subscribed_to_is_consumed(fan_out: FanOut):
    assert sorted(model.event_type for model in subscriptions(fan_out)) == list(EVENT_TYPES)
