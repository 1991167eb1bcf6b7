"""Event → delivery → subscriber, with a real MongoDB, a real subscriber and the real loop."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from service_kit.errors import AlreadyHandled
from service_kit.testing.waiting import eventually
from standardwebhooks import Webhook
from webhook_service.domain.delivery import Status
from webhook_service.domain.endpoint import Endpoint
from webhook_service.testing.delivering import CLOCK, Service
from webhook_service.testing.engine import RULES

pytestmark = pytest.mark.integration


@pytest.fixture
async def service(mongo_client: Any, mongo_database: Any, make_endpoint: Any, secret: str) -> Service:
    service = Service(mongo_client, mongo_database, make_endpoint, secret)
    await service.prepare()
    return service


async def test_an_event_published_twice_arrives_once_and_verifies(
    service: Service, sink: Any, make_event: Any, secret: str
):
    endpoint = await service.subscribe(sink.url())
    event = make_event()
    await service.fan_out(event)
    with pytest.raises(AlreadyHandled):
        await service.fan_out(event)
    async with service.delivering():
        (delivered,) = await service.settled(endpoint, Status.SUCCEEDED)
    (got,) = sink.received
    assert Webhook(secret).verify(got.body, got.headers)["data"]["name"] == "Été ☀️"
    assert got.headers["webhook-id"] == event.id == delivered.event_id
    assert [item.status_code for item in delivered.attempts] == [200]


async def test_an_event_whose_mark_was_forgotten_is_still_one_delivery(
    service: Service, sink: Any, make_event: Any, mongo_database: Any
):
    endpoint = await service.subscribe(sink.url())
    event = make_event()
    await service.fan_out(event)
    await mongo_database["inbox"].delete_many({})
    with pytest.raises(AlreadyHandled):
        await service.fan_out(event)
    assert len(await service.log(endpoint)) == 1


async def test_a_failing_subscriber_is_tried_with_the_same_id_until_the_attempts_are_used_up(
    service: Service, sink: Any, make_event: Any
):
    endpoint = await service.subscribe(sink.url("/status/500"))
    event = make_event()
    await service.fan_out(event)
    async with service.delivering():
        (failed,) = await service.settled(endpoint, Status.FAILED)
    assert [item.error for item in failed.attempts] == ["answered 500"] * 3
    assert {item.headers["webhook-id"] for item in sink.received} == {event.id}
    assert len({item.body for item in sink.received}) == 1


async def test_a_redirect_fails_and_is_not_followed(service: Service, sink: Any, make_event: Any):
    endpoint = await service.subscribe(sink.url("/redirect"))
    await service.fan_out(make_event())
    async with service.delivering(schedule=()):
        (failed,) = await service.settled(endpoint, Status.FAILED)
    assert failed.attempts[0].error == "redirects are not followed (302)"
    assert sink.at("/ok") == []


async def test_an_endpoint_that_hangs_does_not_delay_the_others(service: Service, sink: Any, make_event: Any):
    hanging = await service.subscribe(sink.url("/hang"))
    healthy = [await service.subscribe(sink.url(f"/healthy/{number}")) for number in range(3)]
    for number in range(30):
        await service.fan_out(make_event(f"camp_{number}"))
    async with service.delivering(workers=16, per_endpoint=4):
        for endpoint in healthy:
            assert len(await service.settled(endpoint, Status.SUCCEEDED)) == 30
        assert len(sink.at("/hang")) == 4
        assert {item.status for item in await service.log(hanging)} == {Status.PENDING}


async def test_events_of_one_campaign_arrive_in_their_order_where_that_is_asked_for(
    service: Service, sink: Any, make_event: Any
):
    endpoint = await service.subscribe(sink.url(), ordered=True)
    events = [make_event(sequence=number) for number in range(1, 11)]
    for event in events:
        await service.fan_out(event)
    async with service.delivering(), service.delivering():
        await service.settled(endpoint, Status.SUCCEEDED)
    assert [item.headers["webhook-id"] for item in sink.received] == [event.id for event in events]


async def test_410_switches_the_endpoint_off_says_so_and_nothing_more_is_sent(
    service: Service, sink: Any, make_event: Any, mongo_database: Any
):
    endpoint = await service.subscribe(sink.url("/status/410"), ordered=True)
    for sequence in (1, 2, 3):
        await service.fan_out(make_event(sequence=sequence))
    async with service.delivering():
        parked = await service.settled(endpoint, Status.PARKED)
        stored = await service.endpoints.find("acme", endpoint.id)
        assert stored is not None and not stored.active
        await service.fan_out(make_event(sequence=4))
        assert len(await service.settled(endpoint, Status.PARKED)) == 4
    assert len(parked) == 3
    assert len(sink.received) == 1
    (told,) = await mongo_database["outbox"].find().to_list(None)
    assert (told["key"], told["topic"]) == (endpoint.id, "webhook-events")


async def test_what_a_dead_deliverer_had_taken_is_delivered_after_its_lease_with_the_same_id(
    service: Service, sink: Any, make_event: Any
):
    endpoint = await service.subscribe(sink.url("/hang"))
    event = make_event()
    await service.fan_out(event)
    async with service.delivering(lease=0.5, drain_seconds=0):
        await eventually(lambda: _size(sink), lambda size: size == 1, seconds=10, every=0.02)
    assert (await service.log(endpoint))[0].attempts == ()
    sink.released.set()
    async with service.delivering(lease=0.5):
        (delivered,) = await service.settled(endpoint, Status.SUCCEEDED)
    assert [item.headers["webhook-id"] for item in sink.received] == [event.id, event.id]
    assert len(delivered.attempts) == 1


async def test_two_deliverers_send_each_delivery_once(service: Service, sink: Any, make_event: Any):
    endpoint = await service.subscribe(sink.url())
    for number in range(60):
        await service.fan_out(make_event(f"camp_{number}"))
    async with service.delivering(), service.delivering():
        await service.settled(endpoint, Status.SUCCEEDED)
    assert len(sink.received) == 60


async def test_an_endpoint_that_is_down_is_probed_and_gets_everything_when_it_is_back(
    service: Service, sink: Any, make_event: Any
):
    endpoint = await service.subscribe(sink.url("/status/500"))
    for number in range(30):
        await service.fan_out(make_event(f"camp_{number}"))
    rules = replace(RULES, failures=2, first_seconds=0.05, most_seconds=0.2)
    async with service.delivering(schedule=(0.05,) * 100, rules=rules):
        await eventually(lambda: service.endpoints.find("acme", endpoint.id), _paused, seconds=10, every=0.02)
        sink.statuses["/status/500"] = 200
        await service.settled(endpoint, Status.SUCCEEDED)
    stored = await service.endpoints.find("acme", endpoint.id)
    assert stored is not None and (stored.paused_until, stored.failures, stored.failing_since) == (
        None,
        0,
        None,
    )


async def test_stopping_gives_back_what_has_not_begun_and_waits_for_what_has(
    service: Service, sink: Any, make_event: Any
):
    endpoint = await service.subscribe(sink.url("/hang"))
    for number in range(12):
        await service.fan_out(make_event(f"camp_{number}"))
    async with service.delivering(per_endpoint=8, drain_seconds=5):
        await eventually(lambda: _size(sink), lambda size: size == 8, seconds=10, every=0.02)
        asyncio.get_running_loop().call_later(0.1, sink.released.set)
    found = await service.log(endpoint)
    assert sorted(item.status for item in found) == [Status.PENDING] * 4 + [Status.SUCCEEDED] * 8
    due = await service.deliveries.due(now=CLOCK.now(), limit=99, except_endpoints=())
    assert len(due) == 4


def _paused(endpoint: Endpoint | None) -> bool:
    return endpoint is not None and endpoint.pauses > 0


async def _size(sink: Any) -> int:
    return len(sink.received)
