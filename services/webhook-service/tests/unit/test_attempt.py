"""One attempt: what is recorded, and what a late worker may still do."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from webhook_service.application.attempt_delivery import Taken
from webhook_service.application.record_outcomes import Result
from webhook_service.domain.delivery import Answer, Delivery, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.testing.engine import Engine


class Bench(Engine):
    """An endpoint, a delivery to it, and a worker with a lease of 45 s."""

    def __init__(self, now: datetime, endpoint: Endpoint, delivery: Delivery) -> None:
        super().__init__(now)
        self.known, self.delivery = endpoint, delivery

    async def claim(self) -> Taken:
        (taken,) = (await self.taken()).sends
        return taken

    async def one(self, taken: Taken) -> Result:
        (result,) = (await self.send(taken)).results
        return result

    @property
    def row(self) -> Delivery:
        return self.stored(self.delivery)


@pytest.fixture
async def bench(now: datetime, make_endpoint: Callable[..., Any], make_delivery: Callable[..., Any]) -> Bench:
    endpoint = make_endpoint()
    bench = Bench(now, endpoint, make_delivery(endpoint.id))
    await bench.store(endpoint, bench.delivery)
    return bench


async def test_a_success_is_recorded_once_with_time_status_and_duration(bench: Bench, now: datetime):
    assert await bench.one(await bench.claim()) is Result.SUCCEEDED
    (attempt,) = bench.row.attempts
    assert (attempt.at, attempt.status_code, attempt.duration_ms, attempt.error) == (now, 200, 12, None)
    assert (bench.row.status, bench.row.response_body) == (Status.SUCCEEDED, "ok")


async def test_every_attempt_carries_the_event_id_until_the_schedule_is_used_up(bench: Bench):
    bench.sender.answer = Answer(None, "the connection broke", None, None, 1)
    results = []
    for seconds in (5, 60, 0):
        results.append(await bench.one(await bench.claim()))
        bench.clock.advance(seconds)
    assert results == [Result.RETRY, Result.RETRY, Result.FAILED]
    assert bench.sender.message_ids == [bench.delivery.event_id] * 3
    assert bench.row.status is Status.FAILED
    assert [item.error for item in bench.row.attempts] == ["the connection broke"] * 3


async def test_a_worker_whose_lease_ended_changes_nothing(bench: Bench):
    late = await bench.claim()
    bench.clock.advance(46)
    current = await bench.claim()
    bench.sender.answer = Answer(500, None, None, None, 1)
    assert await bench.one(late) is Result.LOST
    assert bench.row.attempts == ()
    bench.sender.answer = Answer(200, None, None, None, 1)
    assert await bench.one(current) is Result.SUCCEEDED
    assert len(bench.row.attempts) == 1


async def test_410_switches_the_endpoint_off_parks_all_that_waits_and_says_so_once(
    bench: Bench, make_delivery: Callable[..., Any], now: datetime
):
    await bench.store(bench.known, waiting := make_delivery(bench.known.id))
    taking = await bench.taken()
    bench.sender.answer = Answer(410, None, None, None, 1)
    recorded = await bench.send(*taking.sends)
    assert recorded.results == [Result.GONE, Result.GONE]
    stored = bench.endpoint(bench.known.id)
    assert (stored.active, stored.disabled_reason) == (False, DisabledReason.GONE)
    assert {bench.row.status, bench.stored(waiting).status} == {Status.PARKED}
    assert await bench.due() == []
    (told,) = bench.outbox.events
    assert (told.type, told.subject, told.orgid) == ("webhook.endpoint_disabled", stored.id, "acme")
    assert (told.data.reason, told.data.disabled_at, told.sequence) == ("GONE", now, stored.version)


@pytest.mark.parametrize("gone", [True, False])
async def test_nothing_is_sent_to_an_endpoint_that_is_off_or_deleted(bench: Bench, gone: bool):
    if gone:
        await bench.endpoints.remove("acme", bench.known.id, expected_version=bench.known.version)
    else:
        await bench.record.disable(bench.known, DisabledReason.GONE)
    taking = await bench.taken()
    status = Status.FAILED if gone else Status.PARKED
    assert (taking.sends, taking.settled) == ([], {status: 1})
    assert (bench.row.status, bench.row.attempts) == (status, ())


async def test_a_success_that_arrives_while_the_endpoint_is_switched_off_still_counts(bench: Bench):
    async def parked_meanwhile() -> None:
        await bench.deliveries.settle_all(bench.known.id, Status.PARKED)

    bench.sender.meanwhile = parked_meanwhile
    assert await bench.one(await bench.claim()) is Result.SUCCEEDED
    assert bench.row.status is Status.SUCCEEDED
