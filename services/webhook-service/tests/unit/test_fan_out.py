"""An event becomes deliveries."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from service_kit.errors import AlreadyHandled
from service_kit.testing.fakes import Died, DyingTransactions, FixedClock, InMemoryInbox, InMemoryTransactions
from webhook_service.application import fan_out_event
from webhook_service.application.event_types import EVENT_TYPES
from webhook_service.application.fan_out_event import FanOut
from webhook_service.domain.delivery import Due, Status
from webhook_service.entrypoints.subscriptions import subscriptions
from webhook_service.testing.fake_deliveries import InMemoryDeliveries
from webhook_service.testing.fakes import HeardBell, InMemoryEndpoints


@pytest.fixture
def fan_out(now: datetime) -> FanOut:
    return FanOut(
        InMemoryTransactions(),
        InMemoryInbox(),
        InMemoryEndpoints(),
        InMemoryDeliveries(),
        HeardBell(),
        FixedClock(now),
    )


def stored(fan_out: FanOut) -> list[Any]:
    assert isinstance(fan_out.deliveries, InMemoryDeliveries)
    return [row.delivery for row in fan_out.deliveries.rows.values()]


async def subscribe(fan_out: FanOut, endpoint: Any) -> None:
    await fan_out.transactions.run(lambda tx: fan_out.endpoints.add(tx, endpoint))


async def test_only_endpoints_of_the_organisation_that_want_the_type_get_a_delivery(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    wanted = [make_endpoint(), make_endpoint(events=("campaign.failed", "campaign.created"))]
    others = [
        make_endpoint(events=("campaign.started",)),
        make_endpoint(org="other"),
    ]
    for endpoint in wanted + others:
        await subscribe(fan_out, endpoint)
    assert await fan_out(make_event()) == {"campaign.created": 2}
    assert {item.endpoint_id for item in stored(fan_out)} == {item.id for item in wanted}


async def test_what_comes_while_an_endpoint_is_off_is_parked_and_deliverers_hear_of_the_rest(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    on, off = make_endpoint(), make_endpoint(active=False)
    for endpoint in (on, off):
        await subscribe(fan_out, endpoint)
    await fan_out(event := make_event(sequence=3))
    assert {item.endpoint_id: (item.status, item.next_attempt_at) for item in stored(fan_out)} == {
        on.id: (Status.PENDING, event.time),
        off.id: (Status.PARKED, None),
    }
    assert isinstance(fan_out.bell, HeardBell)
    assert fan_out.bell.dues == [Due(f"{on.id}:{event.id}", on.id, event.subject, 3)]


async def test_many_events_are_stored_in_their_order_in_transactions_of_a_bearable_size(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    for _ in range(9):
        await subscribe(fan_out, make_endpoint())
    events = [make_event(sequence=number) for number in range(250)]
    sizes: list[int] = []

    class Watched(InMemoryTransactions):
        async def run(self, work: Any) -> Any:
            before = len(stored(fan_out))
            answer = await super().run(work)
            sizes.append(len(stored(fan_out)) - before)
            return answer

    assert await replace(fan_out, transactions=Watched())(*events) == {"campaign.created": 2250}
    assert sizes == [900, 900, 450]
    assert [item.sequence for item in stored(fan_out)] == [number for number in range(250) for _ in range(9)]


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
async def test_an_event_of_too_many_deliveries_is_handled_once_all_are_there_whenever_its_consumer_dies(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch, writes: int,
):  # fmt: skip
    monkeypatch.setattr(fan_out_event, "MOST_DELIVERIES", 4)
    for _ in range(10):
        await subscribe(fan_out, make_endpoint())
    event, sizes, ensure = make_event(), list[int](), fan_out.deliveries.ensure

    async def ensure_while_alive(deliveries: Any) -> None:
        if len(sizes) == writes:
            raise Died
        sizes.append(len(deliveries))
        await ensure(deliveries)

    monkeypatch.setattr(fan_out.deliveries, "ensure", ensure_while_alive)
    dying = DyingTransactions(fan_out.transactions, lives=0, after=False)
    with pytest.raises(Died):
        await replace(fan_out, transactions=dying)(event)
    assert sizes == [4, 4, 2][:writes]
    before = {item.id for item in stored(fan_out)}
    assert len(before) == sum(sizes)
    monkeypatch.setattr(fan_out.deliveries, "ensure", ensure)
    assert await fan_out(event) == {"campaign.created": 10}
    assert len({item.endpoint_id for item in stored(fan_out)}) == len(stored(fan_out)) == 10
    assert before <= {item.id for item in stored(fan_out)}
    with pytest.raises(AlreadyHandled):
        await fan_out(event)


async def test_of_many_events_one_that_took_effect_before_leaves_the_others_to_be_handled_one_by_one(
    fan_out: FanOut, make_event: Callable[..., Any], make_endpoint: Callable[..., Any]
):
    await subscribe(fan_out, make_endpoint())
    old, new = make_event(sequence=1), make_event(sequence=2)
    await fan_out(old)
    with pytest.raises(AlreadyHandled):
        await fan_out(old, new)
    await fan_out(new)
    assert [item.event_id for item in stored(fan_out)] == [old.id, new.id]


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
