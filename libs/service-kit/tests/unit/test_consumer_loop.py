"""The consumer loop's verdicts: what is retried, parked, ignored or committed."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from contracts.envelope import encode, new_event
from contracts.events.audience import AudienceEstimated
from pymongo.errors import AutoReconnect
from service_kit.errors import AlreadyHandled, Poison, Retryable
from service_kit.kafka.consumer import ConsumerLoop, RetryPolicy

NOW = datetime(2026, 1, 1, tzinfo=UTC)
DATA = AudienceEstimated(campaign_id="camp_1", total_count=7, estimated_at=NOW)
GOOD = encode(new_event(DATA, source="/t", subject="camp_1", org="acme", time=NOW, event_id="evt_1"))


class Parked:
    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.values: list[bytes] = []

    async def park(self, record: Any, *, consumer: str, reason: str) -> None:
        assert consumer == "group"
        self.values.append(record.value)
        self.reasons.append(reason)


class Handler:
    def __init__(self, *outcomes: Exception | None) -> None:
        self.outcomes = list(outcomes)
        self.seen: list[Any] = []

    async def __call__(self, event: Any) -> None:
        self.seen.append(event)
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome


def record(raw: bytes) -> Any:
    return SimpleNamespace(value=raw, topic="audience-events", partition=0, offset=5, key=b"camp_1")


def a_loop(handler: Handler, parked: Parked, *, attempts: int = 3, together: Any = None) -> ConsumerLoop:
    return ConsumerLoop(
        {AudienceEstimated: handler},
        bootstrap_servers="unused",
        group="group",
        dead_letters=parked,  # type: ignore[arg-type]  # the same method
        retry=RetryPolicy(first_seconds=0, most_seconds=0, max_attempts=attempts),
        timeout_ms=1000,
        together=together,
    )


async def run(handler: Handler, raw: bytes, attempts: int = 3) -> Parked:
    parked = Parked()
    await a_loop(handler, parked, attempts=attempts).handle(record(raw))
    return parked


async def test_what_can_be_handled_together_is_and_in_its_order():
    together, single = Handler(), Handler()
    other = json.dumps(json.loads(GOOD) | {"type": "segment.changed"}).encode()
    second = json.dumps(json.loads(GOOD) | {"id": "evt_2"}).encode()
    loop = a_loop(single, Parked(), together=together)
    assert await loop.handle_together([record(raw) for raw in (GOOD, other, second)])
    assert [[event.id for event in events] for events in together.seen] == [["evt_1", "evt_2"]]
    assert single.seen == []


@pytest.mark.parametrize("error", [AlreadyHandled("evt_1"), AutoReconnect("away"), ValueError("what?")])
async def test_what_fails_together_is_left_to_be_handled_one_by_one(error: Exception):
    loop = a_loop(Handler(), Parked(), together=Handler(error))
    assert not await loop.handle_together([record(GOOD)] * 2)


async def test_broken_bytes_among_others_leave_all_to_be_handled_one_by_one():
    together = Handler()
    loop = a_loop(Handler(), Parked(), together=together)
    assert not await loop.handle_together([record(GOOD), record(b"{")])
    assert together.seen == []


async def test_a_good_event_reaches_its_handler_once():
    handler = Handler()
    parked = await run(handler, GOOD)
    assert [event.data for event in handler.seen] == [DATA]
    assert parked.reasons == []


async def test_an_unknown_field_does_not_keep_an_event_from_its_handler():
    wire = json.loads(GOOD)
    wire["data"]["new"] = wire["extension"] = "x"
    handler = Handler()
    await run(handler, json.dumps(wire).encode())
    assert [event.data for event in handler.seen] == [DATA]


@pytest.mark.parametrize("raw", [b"{", b"", b"\xff", json.dumps(json.loads(GOOD) | {"data": {}}).encode()])
async def test_broken_bytes_are_parked_as_they_are_and_the_partition_goes_on(raw: bytes):
    handler = Handler()
    parked = await run(handler, raw)
    assert parked.values == [raw]
    assert "MalformedEvent" in parked.reasons[0]
    assert handler.seen == []


async def test_a_type_nobody_subscribed_to_is_ignored():
    parked = await run(Handler(), json.dumps(json.loads(GOOD) | {"type": "campaign.invented"}).encode())
    assert parked.reasons == []


async def test_an_event_that_took_effect_before_is_done_not_failed():
    parked = await run(Handler(AlreadyHandled("evt_1")), GOOD)
    assert parked.reasons == []


@pytest.mark.parametrize(
    "away", [Retryable("not yet"), AutoReconnect("mongo"), TimeoutError(), ConnectionError()]
)
async def test_a_dependency_that_is_away_is_waited_for_however_long(away: Exception):
    handler = Handler(*[away] * 50)
    parked = await run(handler, GOOD)
    assert len(handler.seen) == 51
    assert parked.reasons == []


async def test_poison_is_parked_at_once():
    handler = Handler(Poison("no such campaign"))
    parked = await run(handler, GOOD)
    assert len(handler.seen) == 1
    assert parked.reasons == ["Poison: no such campaign"]


async def test_what_nobody_foresaw_gets_its_attempts_and_is_then_parked():
    handler = Handler(*[KeyError("x")] * 10)
    parked = await run(handler, GOOD, attempts=3)
    assert len(handler.seen) == 3
    assert parked.reasons == ["KeyError: 'x'"]
