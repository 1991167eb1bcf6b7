"""Switching off, while owners and databases do what they like meanwhile."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast

import pytest
from service_kit.testing.fakes import InMemoryTransactions
from webhook_service.application.attempt_delivery import Sent
from webhook_service.application.change_endpoint import change_endpoint
from webhook_service.application.create_endpoint import Wish
from webhook_service.application.ports import ApiPorts
from webhook_service.application.record_outcomes import Result
from webhook_service.domain.delivery import Answer, Outcome, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.testing.engine import OK, Engine, OpenSecrets
from webhook_service.testing.fakes import HeardBell

GONE = Answer(410, None, None, None, 1)
DOWN = Answer(503, None, None, None, 1)
MOVED = "https://moved.example/"
Make = Callable[..., Any]


class AnyTarget:
    async def check(self, url: str) -> None:
        """Fine."""


class Owner:
    """The owner of an endpoint, at the API."""

    def __init__(self, engine: Engine, endpoint: Endpoint, transactions: Any = None) -> None:
        self._endpoint = endpoint
        self._ports = ApiPorts(
            engine.endpoints, engine.deliveries, AnyTarget(), OpenSecrets(), HeardBell(),
            cast(Any, None), transactions or InMemoryTransactions(), engine.clock,
        )  # fmt: skip

    async def puts(self, **changes: Any) -> Endpoint:
        def revise(before: Endpoint) -> Wish:
            return replace(Wish(url=before.url, events=before.events, active=before.active), **changes)

        return await change_endpoint("acme", self._endpoint.id, revise, versions=None, ports=self._ports)


class Then(InMemoryTransactions):
    """After the first transaction, something else happens."""

    def __init__(self, then: Callable[[], Awaitable[Any]]) -> None:
        super().__init__()
        self._then: Callable[[], Awaitable[Any]] | None = then

    async def run(self, work: Any) -> Any:
        result = await super().run(work)
        then, self._then = self._then, None
        if then is not None:
            await then()
        return result


@pytest.fixture
def engine(now: datetime) -> Engine:
    return Engine(now)


async def test_one_that_cannot_be_switched_off_costs_the_others_no_record(
    engine: Engine, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    stuck, gone, well = make_endpoint(), make_endpoint(), make_endpoint()
    items = [make_delivery(endpoint.id) for endpoint in (stuck, gone, well)]
    for endpoint, item in zip((stuck, gone, well), items, strict=True):
        await engine.store(endpoint, item)
    disable = engine.endpoints.disable

    async def locked(tx: Any, endpoint: Endpoint, **more: Any) -> Endpoint | None:
        if endpoint.id == stuck.id:
            raise TimeoutError
        return await disable(tx, endpoint, **more)

    monkeypatch.setattr(engine.endpoints, "disable", locked)
    sent: list[Sent] = []
    for taken in (await engine.taken()).sends:
        engine.sender.answer = OK if taken.endpoint.id == well.id else GONE
        sent.append(await engine.attempt(taken))
    recorded = await engine.record(sent)
    results = {item.taken.endpoint.id: result for item, result in zip(sent, recorded.results, strict=True)}
    assert results == {stuck.id: Result.ERROR, gone.id: Result.GONE, well.id: Result.SUCCEEDED}
    assert recorded.disabled == [DisabledReason.GONE]
    assert [engine.stored(item).status for item in items] == [
        Status.PENDING, Status.PARKED, Status.SUCCEEDED,
    ]  # fmt: skip
    monkeypatch.undo()
    engine.clock.advance(46)
    engine.sender.answer = GONE
    await engine.round()
    assert not engine.endpoint(stuck.id).active


async def test_lanes_that_cannot_be_woken_cost_no_record(
    engine: Engine, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    await engine.store(endpoint := make_endpoint(ordered=True), make_delivery(endpoint.id))
    (taken,) = (await engine.taken()).sends

    async def away(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(engine.deliveries, "blockers", away)
    assert (await engine.send(taken)).results == [Result.SUCCEEDED]


async def test_410_of_an_earlier_url_leaves_the_new_one_on_and_the_event_goes_there(
    engine: Engine, make_endpoint: Make, make_delivery: Make
):
    await engine.store(endpoint := make_endpoint(), item := make_delivery(endpoint.id))
    owner = Owner(engine, endpoint)
    engine.sender.answer, engine.sender.meanwhile = GONE, lambda: owner.puts(url=MOVED)
    await engine.round()
    assert engine.endpoint(endpoint.id).active and engine.outbox.events == []
    engine.sender.answer, engine.sender.meanwhile = OK, None
    assert await engine.round() == [item.event_id]
    assert [attempt.status_code for attempt in engine.stored(item).attempts] == [410, 200]


async def test_what_an_earlier_url_answers_pauses_the_new_one_not(
    engine: Engine, make_endpoint: Make, make_delivery: Make
):
    await engine.store(endpoint := make_endpoint(), make_delivery(endpoint.id))
    owner = Owner(engine, endpoint)
    engine.sender.answer = Answer(429, None, "3600", None, 1)
    engine.sender.meanwhile = lambda: owner.puts(url=MOVED)
    await engine.round()
    stored = engine.endpoint(endpoint.id)
    assert (stored.paused_until, stored.failing_since) == (None, None)


@pytest.mark.parametrize("change", [{"url": MOVED}, {"ordered": True}])
async def test_another_url_begins_afresh_and_other_changes_do_not(
    engine: Engine, make_endpoint: Make, make_delivery: Make, change: dict[str, Any]
):
    endpoint = make_endpoint()
    await engine.store(endpoint, *[make_delivery(endpoint.id) for _ in range(5)])
    engine.sender.answer = DOWN
    await engine.round()
    before = engine.endpoint(endpoint.id)
    assert before.paused_until is not None
    told = await Owner(engine, endpoint).puts(**change)
    stored = engine.endpoint(endpoint.id)
    noted = (stored.failures, stored.pauses, stored.paused_until, stored.failing_since)
    afresh = "url" in change
    assert noted == ((0, 0, None, None) if afresh else (5, 1, before.paused_until, before.failing_since))
    assert told.failing_since == stored.failing_since


async def test_another_url_of_one_that_is_off_leaves_the_reason(engine: Engine, make_endpoint: Make):
    await engine.store(endpoint := make_endpoint(active=False, disabled_reason=DisabledReason.GONE))
    assert (await Owner(engine, endpoint).puts(url=MOVED)).disabled_reason is DisabledReason.GONE
    assert engine.endpoint(endpoint.id).disabled_reason is DisabledReason.GONE


async def test_what_waits_is_not_parked_when_its_owner_has_switched_on_again_meanwhile(
    engine: Engine, make_endpoint: Make, make_delivery: Make, monkeypatch: pytest.MonkeyPatch
):
    await engine.store(endpoint := make_endpoint(), make_delivery(endpoint.id))
    (taken,) = (await engine.taken()).sends
    await engine.store(endpoint, waiting := make_delivery(endpoint.id))
    recording = engine.deliveries.record

    async def slow(outcomes: Sequence[Outcome]) -> list[bool]:
        await Owner(engine, endpoint).puts(active=True)
        return await recording(outcomes)

    monkeypatch.setattr(engine.deliveries, "record", slow)
    engine.sender.answer = GONE
    await engine.send(taken)
    assert (engine.endpoint(endpoint.id).active, engine.stored(waiting).status) == (True, Status.PENDING)


async def test_of_an_owner_who_switches_off_and_another_who_switches_on_the_later_one_counts(
    engine: Engine, make_endpoint: Make, make_delivery: Make
):
    await engine.store(endpoint := make_endpoint(), waiting := make_delivery(endpoint.id))
    other = Owner(engine, endpoint)
    await Owner(engine, endpoint, Then(lambda: other.puts(active=True))).puts(active=False)
    assert (engine.endpoint(endpoint.id).active, engine.stored(waiting).status) == (True, Status.PENDING)
