"""What is odd at one endpoint costs the others nothing, and itself no more than an attempt."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.testing.waiting import eventually
from webhook_service.application.take_deliveries import GLANCE
from webhook_service.domain.delivery import Answer, Status
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.health import Report
from webhook_service.entrypoints import noting as noting_module
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.entrypoints.noting import Noting
from webhook_service.testing.engine import Engine

ABSURD = "Mon, 01 Jan 99999999999 00:00:00 GMT"
Make = Callable[..., Any]


def deliverer(engine: Engine) -> Deliverer:
    pace = Pace(workers=8, per_endpoint=2, poll_seconds=0.01, request_seconds=1, drain_seconds=1)
    return Deliverer(
        engine.deliveries, engine.take, engine.attempt, engine.record, clock=engine.clock, pace=pace
    )


async def ended(work: "asyncio.Task[None]") -> None:
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


@pytest.mark.parametrize(
    ("status", "becomes"), [(200, Status.SUCCEEDED), (400, Status.PENDING), (503, Status.PENDING)]
)
async def test_a_retry_after_of_no_date_counts_as_none(
    now: datetime, make_endpoint: Make, make_delivery: Make, status: int, becomes: Status
):
    engine, endpoint = Engine(now), make_endpoint()
    await engine.store(endpoint, item := make_delivery(endpoint.id))
    engine.sender.answer = Answer(status, None, ABSURD, None, 1)
    await engine.round()
    assert (engine.stored(item).status, len(engine.stored(item).attempts)) == (becomes, 1)


async def test_an_error_on_our_side_is_an_attempt_and_the_schedule_ends_it(
    now: datetime, make_endpoint: Make, make_delivery: Make
):
    engine, endpoint = Engine(now, schedule=()), make_endpoint(ordered=True)
    first, second = (make_delivery(endpoint.id, campaign_id="c", sequence=n) for n in (1, 2))
    await engine.store(endpoint, first, second)

    async def broken_once() -> None:
        engine.sender.meanwhile = None
        raise RuntimeError("a secret that does not open")

    engine.sender.meanwhile = broken_once
    running = asyncio.create_task(deliverer(engine).run())
    try:
        await eventually(
            lambda: asyncio.sleep(0, engine.stored(second).status), lambda found: found is Status.SUCCEEDED
        )
    finally:
        await ended(running)
    (attempt,) = engine.stored(first).attempts
    assert engine.stored(first).status is Status.FAILED
    assert attempt.error == "the request could not be made: an error on our side"
    assert engine.endpoint(endpoint.id).failing_since is None


async def test_an_error_on_our_side_neither_pauses_an_endpoint_nor_switches_it_off(
    now: datetime, make_endpoint: Make, make_delivery: Make
):
    engine, endpoint = Engine(now), make_endpoint()
    await engine.store(endpoint, *[make_delivery(endpoint.id) for _ in range(6)])
    broken = [engine.attempt.broken(taken) for taken in (await engine.taken()).sends]
    await engine.record(broken)
    await engine.record.note(broken)
    assert engine.endpoint(endpoint.id) == endpoint


async def test_an_endpoint_that_cannot_be_noted_costs_the_others_no_note(
    now: datetime, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    engine, bad, good = Engine(now), make_endpoint(), make_endpoint()
    await engine.store(bad, make_delivery(bad.id))
    await engine.store(good, make_delivery(good.id))
    noting = engine.endpoints.note

    async def note(endpoint: Endpoint, report: Report, *, now: datetime) -> Endpoint | None:
        if endpoint.id == bad.id:
            raise TimeoutError
        return await noting(endpoint, report, now=now)

    monkeypatch.setattr(engine.endpoints, "note", note)
    await engine.round()
    assert engine.endpoint(good.id).last_success_at == now


async def test_a_long_pause_is_asked_about_again_in_a_moment_since_its_owner_may_end_it(
    now: datetime, make_endpoint: Make, make_delivery: Make
):
    engine, endpoint = Engine(now), make_endpoint()
    await engine.store(endpoint, make_delivery(endpoint.id))
    held: list[tuple[str, float]] = []
    noting = Noting(engine.record, clock=engine.clock, hold=lambda *call: held.append(call))
    running = asyncio.create_task(noting.run())
    try:
        engine.sender.answer = Answer(429, None, "604800", None, 1)
        noting.tell([await engine.attempt(taken) for taken in (await engine.taken()).sends])
        await eventually(lambda: asyncio.sleep(0, held), bool)
    finally:
        await ended(running)
    assert engine.endpoint(endpoint.id).paused_until == now + timedelta(days=7)
    assert held == [(endpoint.id, GLANCE.total_seconds())]


async def test_now_and_then_successes_heal_what_was_noted_while_they_were_on_their_way(
    now: datetime, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(noting_module, "HEAL_SECONDS", 0.01)
    engine, endpoint = Engine(now), make_endpoint(last_success_at=now)
    await engine.store(endpoint, make_delivery(endpoint.id))
    sent = [await engine.attempt(taken) for taken in (await engine.taken()).sends]
    await engine.endpoints.note(endpoint, Report(failing=True, troubles=1), now=now)
    noting = Noting(engine.record, clock=engine.clock, hold=lambda *_: None)
    running = asyncio.create_task(noting.run())
    try:
        noting.tell(sent)
        await eventually(
            lambda: asyncio.sleep(0, engine.endpoint(endpoint.id)), lambda found: not found.failures
        )
    finally:
        await ended(running)
    assert engine.endpoint(endpoint.id).failing_since is None
