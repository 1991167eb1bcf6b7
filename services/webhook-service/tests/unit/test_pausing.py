"""Endpoints that fail: pauses, probes and the end, on a clock that the test moves."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from webhook_service.domain.delivery import Answer, Delivery, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.testing.engine import OK, Engine

DOWN = Answer(None, "the connection could not be made", None, None, 1)
Make = Callable[..., Delivery]


@pytest.fixture
def endpoint(make_endpoint: Callable[..., Endpoint]) -> Endpoint:
    return make_endpoint()


async def begin(now: datetime, endpoint: Endpoint, make_delivery: Make, count: int) -> Engine:
    engine = Engine(now, schedule=(5.0, 300.0, 1800.0))
    await engine.store(endpoint, *[make_delivery(endpoint.id, sequence=n + 1) for n in range(count)])
    return engine


async def test_after_five_failures_nothing_is_sent_until_the_pause_is_over_and_then_one(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 8)
    engine.sender.answer = DOWN
    assert len(await engine.round()) == 8
    assert engine.endpoint(endpoint.id).paused_until == now + timedelta(seconds=5)
    new = make_delivery(endpoint.id, next_attempt_at=engine.clock.now())
    await engine.store(engine.endpoint(endpoint.id), new)
    assert await engine.round() == []
    engine.clock.advance(5)
    assert len(await engine.round()) == 1
    engine.clock.advance(9.9)
    assert await engine.round() == []
    engine.clock.advance(0.2)
    assert len(await engine.round()) == 1
    assert sum(len(row.delivery.attempts) for row in engine.deliveries.rows.values()) == 8 + 2


async def test_waiting_costs_no_attempts_and_a_probe_that_passes_brings_all_back_at_once(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 8)
    engine.sender.answer = DOWN
    await engine.round()
    for _ in range(6):
        engine.clock.advance(600)
        assert len(await engine.round()) == 1
    attempts = [len(row.delivery.attempts) for row in engine.deliveries.rows.values()]
    assert sum(attempts) == 8 + 6
    waiting = [key for key, row in engine.deliveries.rows.items() if row.delivery.status is Status.PENDING]
    engine.sender.answer = OK
    engine.clock.advance(2400)
    assert len(await engine.round()) == 1
    assert len(await engine.round()) == len(waiting) - 1
    healed = engine.endpoint(endpoint.id)
    assert (healed.failures, healed.pauses, healed.paused_until, healed.failing_since) == (0, 0, None, None)


async def test_when_the_pause_ends_what_its_own_schedule_holds_back_is_still_held_back(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 5)
    hour = now + timedelta(hours=1)
    await engine.store(
        engine.endpoint(endpoint.id), later := make_delivery(endpoint.id, next_attempt_at=hour)
    )
    engine.sender.answer = Answer(503, None, None, None, 1)
    await engine.round()
    engine.sender.answer = OK
    engine.clock.advance(5)
    assert len(await engine.round()) + len(await engine.round()) == 5
    assert await engine.round() == []
    engine.clock.advance(3595)
    assert await engine.round() == [later.event_id]


@pytest.mark.parametrize("status", [429, 502, 504])
async def test_one_that_asks_to_wait_slows_the_whole_endpoint_for_as_long_as_it_says(
    now: datetime, endpoint: Endpoint, make_delivery: Make, status: int
):
    engine = await begin(now, endpoint, make_delivery, 1)
    engine.sender.answer = Answer(status, None, "90", None, 1)
    await engine.round()
    await engine.store(engine.endpoint(endpoint.id), make_delivery(endpoint.id))
    engine.sender.answer = OK
    engine.clock.advance(89)
    assert await engine.round() == []
    engine.clock.advance(1)
    assert len(await engine.round()) + len(await engine.round()) == 2


async def test_of_two_deliverers_one_probes(now: datetime, endpoint: Endpoint, make_delivery: Make):
    one = await begin(now, endpoint, make_delivery, 6)
    two = Engine(now, beside=one)
    one.sender.answer = DOWN
    await one.round()
    one.clock.advance(6)
    due = await one.due()
    assert len((await one.take(due)).sends) + len((await two.take(due)).sends) == 1


async def test_a_probe_whose_deliverer_dies_is_followed_by_another_after_its_lease(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 6)
    engine.sender.answer = DOWN
    await engine.round()
    engine.clock.advance(6)
    (lost,) = (await engine.taken()).sends
    assert lost.probe and await engine.round() == []
    engine.clock.advance(45)
    assert len(await engine.round()) == 1


async def test_a_probe_that_somebody_else_has_taken_is_chosen_anew(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 6)
    engine.sender.answer = DOWN
    await engine.round()
    engine.clock.advance(6)
    due = await engine.due()
    await engine.deliveries.claim(
        [due[0].key], now=engine.clock.now(), until=engine.clock.now() + timedelta(seconds=45)
    )
    assert (await engine.take(due)).sends == []
    engine.clock.advance(1)
    assert len(await engine.round()) == 1


async def test_answers_that_refuse_a_delivery_pause_nothing(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 20)
    engine.sender.answer = Answer(400, None, None, None, 1)
    assert len(await engine.round()) == 20
    stored = engine.endpoint(endpoint.id)
    assert (stored.failures, stored.paused_until, stored.failing_since) == (0, None, now)


async def test_five_days_without_a_success_switch_it_off_park_what_waits_and_say_so(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 1)
    engine.sender.answer = Answer(400, None, None, None, 1)
    await engine.round()
    for _ in range(4):
        engine.clock.advance(1.225 * 86400)
        await engine.store(engine.endpoint(endpoint.id), last := make_delivery(endpoint.id))
        await engine.round()
        assert engine.endpoint(endpoint.id).active
    engine.clock.advance(0.1 * 86400)
    await engine.round()
    stored = engine.endpoint(endpoint.id)
    assert (stored.active, stored.disabled_reason) == (False, DisabledReason.FAILING)
    assert engine.stored(last).status is Status.PARKED
    (told,) = engine.outbox.events
    assert (told.data.reason, told.data.failing_since) == ("FAILING", now)


async def test_a_failure_after_a_long_silence_begins_the_five_days_anew(
    now: datetime, endpoint: Endpoint, make_delivery: Make
):
    engine = await begin(now, endpoint, make_delivery, 1)
    engine.sender.answer = Answer(400, None, None, None, 1)
    await engine.round()
    engine.clock.advance(6 * 86400)
    await engine.store(engine.endpoint(endpoint.id), make_delivery(endpoint.id))
    await engine.round()
    stored = engine.endpoint(endpoint.id)
    assert (stored.active, stored.failing_since) == (True, engine.clock.now())


async def test_a_success_also_heals_what_failed_after_it_was_taken(
    now: datetime, make_endpoint: Callable[..., Endpoint], make_delivery: Make
):
    endpoint = make_endpoint(last_success_at=now)
    engine = await begin(now, endpoint, make_delivery, 2)
    first, second = (await engine.taken()).sends
    engine.sender.answer = DOWN
    await engine.send(first)
    assert engine.endpoint(endpoint.id).failing_since == now
    engine.sender.answer = OK
    await engine.send(second)
    await engine.record.heal()
    stored = engine.endpoint(endpoint.id)
    assert (stored.failing_since, stored.failures) == (None, 0)


async def test_a_success_heals_nothing_that_failed_after_it(
    now: datetime, make_endpoint: Callable[..., Endpoint], make_delivery: Make
):
    endpoint = make_endpoint(last_success_at=now)
    engine = await begin(now, endpoint, make_delivery, 2)
    first, second = (await engine.taken()).sends
    await engine.send(first)
    engine.sender.answer = DOWN
    await engine.send(second)
    await engine.record.heal()
    assert engine.endpoint(endpoint.id).failing_since == now


async def test_one_success_begins_the_five_days_anew(now: datetime, endpoint: Endpoint, make_delivery: Make):
    engine = await begin(now, endpoint, make_delivery, 1)
    for days, answer in (
        (3.0, Answer(400, None, None, None, 1)),
        (3.0, OK),
        (3.0, Answer(400, None, None, None, 1)),
    ):
        engine.sender.answer = answer
        await engine.round()
        for _ in range(2):
            engine.clock.advance(days / 2 * 86400)
            await engine.store(engine.endpoint(endpoint.id), make_delivery(endpoint.id))
            await engine.round()
    engine.sender.answer = Answer(400, None, None, None, 1)
    await engine.round()
    assert engine.endpoint(endpoint.id).active


async def test_what_the_rate_does_not_allow_is_neither_taken_nor_put_off(
    now: datetime, make_endpoint: Callable[..., Endpoint], make_delivery: Make
):
    endpoint = make_endpoint(rate_limit=2)
    engine = await begin(now, endpoint, make_delivery, 3)
    engine.allowance.left = 2
    taking = await engine.taken()
    assert (len(taking.sends), len(taking.spared), taking.waits) == (2, 1, {endpoint.id: 0.5})
    assert await engine.due() == taking.spared
