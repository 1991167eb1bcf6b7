"""One attempt: what is recorded, and what a late worker may still do."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from webhook_service.application.attempt_delivery import AttemptDelivery, Result
from webhook_service.domain.delivery import Answer, Claim, Delivery, Status
from webhook_service.domain.endpoint import DisabledReason
from webhook_service.testing.fakes import InMemoryDeliveries, InMemoryEndpoints


class OpenSecrets:
    """Seals nothing."""

    def seal(self, plain: str, *, owner: str) -> str:
        return plain

    def open(self, sealed: str, *, owner: str) -> str:
        return sealed


class ScriptedSender:
    """Answers with what the test says, and keeps the message ids."""

    def __init__(self) -> None:
        self.answer = Answer(200, None, None, "ok", 12)
        self.message_ids: list[str] = []
        self.meanwhile: Callable[[], Any] | None = None

    async def send(self, url: str, *, message_id: str, **_: Any) -> Answer:
        self.message_ids.append(message_id)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.answer


class Bench:
    """An endpoint, a delivery to it, and a worker with a lease of 45 s."""

    def __init__(self, now: datetime, endpoint: Any, delivery: Delivery) -> None:
        self.clock = FixedClock(now)
        self.endpoints, self.deliveries, self.sender = (
            InMemoryEndpoints(),
            InMemoryDeliveries(),
            ScriptedSender(),
        )
        self.endpoint, self.delivery = endpoint, delivery
        self.attempt = AttemptDelivery(
            self.endpoints, self.deliveries, OpenSecrets(), self.sender, self.clock, (5.0, 60.0), lambda: 0.0
        )

    async def store(self, *items: Delivery) -> None:
        await InMemoryTransactions().run(lambda tx: self.endpoints.add(tx, self.endpoint))
        await InMemoryTransactions().run(lambda tx: self.deliveries.add(tx, items))

    async def claim(self) -> Claim:
        now = self.clock.now()
        (claim,) = await self.deliveries.claim(
            [self.delivery.key], now=now, until=now + timedelta(seconds=45)
        )
        return claim

    @property
    def stored(self) -> Delivery:
        return self.deliveries.rows[self.delivery.key].delivery


@pytest.fixture
async def bench(now: datetime, make_endpoint: Callable[..., Any], make_delivery: Callable[..., Any]) -> Bench:
    endpoint = make_endpoint()
    bench = Bench(now, endpoint, make_delivery(endpoint.id))
    await bench.store(bench.delivery)
    return bench


async def test_a_success_is_recorded_once_with_time_status_and_duration(bench: Bench, now: datetime):
    done = await bench.attempt(await bench.claim())
    assert done.result is Result.SUCCEEDED
    (attempt,) = bench.stored.attempts
    assert (attempt.at, attempt.status_code, attempt.duration_ms, attempt.error) == (now, 200, 12, None)
    assert (bench.stored.status, bench.stored.response_body) == (Status.SUCCEEDED, "ok")


async def test_every_attempt_carries_the_event_id_until_the_schedule_is_used_up(bench: Bench):
    bench.sender.answer = Answer(None, "the connection broke", None, None, 1)
    results = []
    for seconds in (5, 60, 0):
        results.append((await bench.attempt(await bench.claim())).result)
        bench.clock.advance(seconds)
    assert results == [Result.RETRY, Result.RETRY, Result.FAILED]
    assert bench.sender.message_ids == [bench.delivery.event_id] * 3
    assert bench.stored.status is Status.FAILED
    assert [item.error for item in bench.stored.attempts] == ["the connection broke"] * 3


async def test_a_worker_whose_lease_ended_changes_nothing(bench: Bench):
    late = await bench.claim()
    bench.clock.advance(46)
    current = await bench.claim()
    bench.sender.answer = Answer(500, None, None, None, 1)
    assert (await bench.attempt(late)).result is Result.LOST
    assert bench.stored.attempts == ()
    bench.sender.answer = Answer(200, None, None, None, 1)
    assert (await bench.attempt(current)).result is Result.SUCCEEDED
    assert len(bench.stored.attempts) == 1


async def test_410_switches_the_endpoint_off_and_parks_all_that_waits(
    bench: Bench, make_delivery: Callable[..., Any]
):
    waiting = make_delivery(bench.endpoint.id)
    await bench.store(waiting)
    bench.sender.answer = Answer(410, None, None, None, 1)
    assert (await bench.attempt(await bench.claim())).result is Result.GONE
    stored = await bench.endpoints.find("acme", bench.endpoint.id)
    assert stored is not None and not stored.active
    assert {row.delivery.status for row in bench.deliveries.rows.values()} == {Status.PARKED}
    assert await bench.deliveries.due(now=bench.clock.now(), limit=9, except_endpoints=[]) == []


@pytest.mark.parametrize("gone", [True, False])
async def test_nothing_is_sent_to_an_endpoint_that_is_off_or_deleted(bench: Bench, now: datetime, gone: bool):
    claim = await bench.claim()
    if gone:
        await bench.endpoints.remove("acme", bench.endpoint.id)
    else:
        await bench.endpoints.disable("acme", bench.endpoint.id, reason=DisabledReason.GONE, now=now)
    assert (await bench.attempt(claim)).result is (Result.ENDED if gone else Result.PARKED)
    assert bench.stored.status is (Status.FAILED if gone else Status.PARKED)
    assert (bench.sender.message_ids, bench.stored.attempts) == ([], ())


async def test_a_success_that_arrives_while_the_endpoint_is_switched_off_still_counts(bench: Bench):
    async def parked_meanwhile() -> None:
        await bench.deliveries.settle_all(bench.endpoint.id, Status.PARKED)

    bench.sender.meanwhile = parked_meanwhile
    assert (await bench.attempt(await bench.claim())).result is Result.SUCCEEDED
    assert bench.stored.status is Status.SUCCEEDED
