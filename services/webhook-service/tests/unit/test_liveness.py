"""A process that delivers nothing does not look well, and one that delivers a lot does."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from webhook_service.application.attempt_delivery import Sent
from webhook_service.application.record_outcomes import Recorded
from webhook_service.application.take_deliveries import Taking
from webhook_service.domain.delivery import Due
from webhook_service.entrypoints import deliverer as module
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.testing.engine import Engine

Make = Callable[..., Any]


def deliverer(engine: Engine, **ports: Any) -> Deliverer:
    pace = Pace(workers=8, per_endpoint=2, poll_seconds=0.01, request_seconds=1, drain_seconds=0.1)
    given = {"take": engine.take, "attempt": engine.attempt, "record": engine.record, **ports}
    return Deliverer(engine.deliveries, **given, clock=engine.clock, pace=pace)


async def test_a_busy_deliverer_that_always_has_more_to_take_is_alive(
    now: datetime, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    engine, endpoint, at = Engine(now), make_endpoint(), 0.0
    items = [make_delivery(endpoint.id) for _ in range(6)]
    await engine.store(endpoint, *items)
    alive: list[bool] = []

    async def take(*_: Any) -> Taking:
        nonlocal at
        at += module.STUCK_SECONDS * 0.75
        alive.append(await busy.is_alive())
        if len(alive) < len(items):
            item = items[len(alive)]
            busy.hear([Due(item.key, endpoint.id, item.campaign_id, item.sequence)])
        return Taking()

    monkeypatch.setattr(module, "monotonic", lambda: at)
    busy = deliverer(engine, take=take)
    first = items[0]
    busy.hear([Due(first.key, endpoint.id, first.campaign_id, first.sequence)])
    await busy._round()
    assert alive == [True] * len(items)


@pytest.mark.parametrize("dead", ["_record_all", "_look", "_note", "_take_all"])
async def test_a_loop_that_dies_takes_the_deliverer_with_it(
    now: datetime, make_endpoint: Make, make_delivery: Make, dead: str, monkeypatch: pytest.MonkeyPatch
):
    engine, endpoint = Engine(now), make_endpoint()
    await engine.store(endpoint, make_delivery(endpoint.id))
    part = deliverer(engine)

    async def dies(*_: Any, **__: Any) -> None:
        raise ArithmeticError(dead)

    target = {"_look": part._looking, "_note": part._noting}.get(dead, part)
    monkeypatch.setattr(target, "run" if target is not part else dead, dies)
    with pytest.raises(ArithmeticError, match=dead):
        await asyncio.wait_for(part.run(), 5)


async def test_a_record_that_answers_nonsense_ends_the_deliverer(
    now: datetime, make_endpoint: Make, make_delivery: Make
):
    engine, endpoint = Engine(now), make_endpoint()
    await engine.store(endpoint, make_delivery(endpoint.id))

    async def record(_sent: Sequence[Sent]) -> Recorded:
        return Recorded(results=[])

    with pytest.raises(ValueError, match="zip"):
        await asyncio.wait_for(deliverer(engine, record=record).run(), 5)
