"""One at a time per (endpoint, campaign) where an endpoint wants order, on a clock that the test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from webhook_service.domain.delivery import Answer, Delivery, Status
from webhook_service.domain.endpoint import Endpoint
from webhook_service.testing.engine import OK, Engine

FAILS = Answer(400, None, None, None, 1)
Make = Callable[..., Delivery]


@pytest.fixture
def endpoint(make_endpoint: Callable[..., Endpoint]) -> Endpoint:
    return make_endpoint(ordered=True)


async def begin(now: datetime, endpoint: Endpoint, items: list[Delivery], **more: object) -> Engine:
    engine = Engine(now, schedule=(5.0, 300.0, 86400.0))
    await engine.store(endpoint, *items)
    return engine


def lane(make_delivery: Make, endpoint: Endpoint, count: int, campaign: str = "c") -> list[Delivery]:
    return [make_delivery(endpoint.id, campaign_id=campaign, sequence=n + 1) for n in range(count)]


async def test_events_of_a_campaign_go_one_after_another_and_campaigns_side_by_side(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items, others = lane(make_delivery, endpoint, 3), lane(make_delivery, endpoint, 1, "d")
    engine = await begin(now, endpoint, items[::-1] + others)
    assert set(await engine.round()) == {items[0].event_id, others[0].event_id}
    assert await engine.round() == [items[1].event_id]
    assert await engine.round() == [items[2].event_id]


async def test_what_is_held_up_does_not_take_the_room_of_what_is_not(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items = [item for number in range(4) for item in lane(make_delivery, endpoint, 5, f"c{number}")]
    engine = await begin(now, endpoint, items)
    taking = await engine.take(await engine.due(), {endpoint.id: 3})
    assert [item.claim.sequence for item in taking.sends] == [1, 1, 1]
    assert [due.sequence for due in taking.spared] == [1]
    assert taking.ordered == {endpoint.id}


async def test_without_order_they_go_side_by_side(
    now: datetime, make_endpoint: Callable[..., Endpoint], make_delivery: Make
):
    endpoint = make_endpoint()
    engine = await begin(now, endpoint, lane(make_delivery, endpoint, 3))
    assert len(await engine.round()) == 3


async def test_while_one_is_on_its_way_no_deliverer_takes_the_next(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    one = await begin(now, endpoint, lane(make_delivery, endpoint, 3))
    two = Engine(now, beside=one)
    due = await one.due()
    first, second = await one.take(due), await two.take(due)
    assert (len(first.sends), len(second.sends)) == (1, 0)
    one.clock.advance(1)
    assert (await two.taken()).sends == []
    recorded = await one.send(*first.sends)
    assert [item.sequence for item in recorded.following] == [2]
    (following,) = (await two.taken()).sends
    assert following.claim.sequence == 2


async def test_one_that_fails_holds_up_the_next_until_it_succeeds(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items = lane(make_delivery, endpoint, 2)
    engine = await begin(now, endpoint, items)
    engine.sender.answer = FAILS
    assert await engine.round() == [items[0].event_id]
    engine.clock.advance(4.9)
    assert await engine.round() == []
    engine.sender.answer = OK
    engine.clock.advance(0.1)
    assert await engine.round() == [items[0].event_id]
    assert await engine.round() == [items[1].event_id]


@pytest.mark.parametrize("status", [Status.PARKED, Status.FAILED])
async def test_one_that_is_parked_or_has_failed_for_good_holds_up_nobody(
    now: datetime, endpoint: Endpoint, make_delivery: Make, status: Status
):
    items = lane(make_delivery, endpoint, 2)
    engine = await begin(now, endpoint, items)
    claims = await engine.deliveries.claim([items[0].key], now=now, until=now + timedelta(seconds=45))
    await engine.deliveries.settle(claims, status)
    assert await engine.round() == [items[1].event_id]


async def test_after_an_hour_the_lane_goes_on_and_the_failing_one_keeps_its_schedule(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items = lane(make_delivery, endpoint, 2)
    engine = await begin(now, endpoint, items)
    engine.sender.answer = FAILS
    for seconds in (5, 300):
        assert await engine.round() == [items[0].event_id]
        engine.clock.advance(seconds)
    assert await engine.round() == [items[0].event_id]
    engine.clock.advance(3294)
    assert await engine.round() == []
    engine.sender.answer = OK
    engine.clock.advance(1 + 30)
    assert await engine.round() == [items[1].event_id]
    assert engine.stored(items[0]).next_attempt_at == now + timedelta(seconds=305 + 86400)


async def test_a_recovered_lane_is_in_order_again(now: datetime, endpoint: Endpoint, make_delivery: Make):
    items = lane(make_delivery, endpoint, 3)
    engine = await begin(now, endpoint, items)
    engine.sender.answer = FAILS
    await engine.round()
    await engine.deliveries.settle_all(endpoint.id, Status.PARKED)
    engine.clock.advance(7200)
    at = engine.clock.now()
    await engine.deliveries.revive([item.key for item in items], now=at)
    engine.sender.answer = OK
    assert [await engine.round() for _ in range(3)] == [[item.event_id] for item in items]


async def test_an_earlier_one_that_is_asked_for_again_waits_for_the_one_on_its_way(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items = lane(make_delivery, endpoint, 3)
    engine = await begin(now, endpoint, items)
    await engine.round()
    second = (await engine.taken()).sends
    assert await engine.deliveries.retry(endpoint.id, items[0].id, now=now)
    assert (await engine.taken()).sends == []
    await engine.send(*second)
    assert [await engine.round() for _ in range(2)] == [[items[0].event_id], [items[2].event_id]]


async def test_one_that_lapses_on_its_way_holds_up_the_lane_until_its_answer(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    items = lane(make_delivery, endpoint, 2)
    engine = await begin(now, endpoint, items)
    engine.sender.answer = FAILS
    for seconds in (5, 300, 3290):
        await engine.round()
        engine.clock.advance(seconds)
    assert await engine.deliveries.retry(endpoint.id, items[0].id, now=engine.clock.now())
    engine.deliveries.rows[items[0].key].lapses_at = now + timedelta(hours=1)
    on_its_way = (await engine.taken()).sends
    assert len(on_its_way) == 1
    engine.clock.advance(10)
    assert (await engine.taken()).sends == []
    await engine.send(*on_its_way)
    engine.clock.advance(30)
    assert await engine.round() == [items[1].event_id]


STEPS = st.lists(
    st.tuples(
        st.booleans(), st.sampled_from([OK, OK, FAILS]), st.booleans(), st.sampled_from([0.0, 1.0, 50.0])
    ),
    min_size=20,
    max_size=60,
)


@settings(max_examples=40)
@given(STEPS)
async def test_whatever_fails_and_whoever_looks_a_lane_is_attempted_in_order(
    steps: list[tuple[bool, Answer, bool, float]],
):
    now = datetime.fromisoformat("2026-01-01T12:00:00+00:00")
    endpoint = Endpoint(
        id="wh_1", org="acme", url="https://example.com/", events=("*",), description="", active=True,
        secrets=(), created_at=now, updated_at=now, ordered=True,
    )  # fmt: skip
    items = [
        Delivery(
            id=f"dlv_{n}", org="acme", endpoint_id="wh_1", event_id=f"evt_{n}", event_type="x", campaign_id="c",
            sequence=n, body=b"", status=Status.PENDING, attempts=(), next_attempt_at=now, response_body=None,
            created_at=now,
        )
        for n in range(1, 5)
    ]  # fmt: skip
    one = await begin(now, endpoint, items)
    engines = [one, Engine(now, schedule=(5.0, 300.0, 86400.0), beside=one)]
    arrived: list[str] = []
    for which, answer, lives, seconds in steps:
        engine = engines[which]
        engine.sender.answer = answer
        sends = (await engine.taken()).sends
        assert len(sends) <= 1
        if sends and lives:
            await engine.send(*sends)
            arrived += [sends[0].claim.event_id]
        one.clock.advance(seconds)
    firsts = list(dict.fromkeys(arrived))
    assert firsts == sorted(firsts)
