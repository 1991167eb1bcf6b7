"""When an endpoint is paused, for how long, and when it is switched off; on a clock that stands still."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from webhook_service.domain.delivery import Answer
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.health import (
    BreakerRules,
    Effect,
    Report,
    effect_of,
    is_failing_for_good,
    pause_after,
)

RULES = BreakerRules(failures=5, first_seconds=5, most_seconds=600, disable_after=timedelta(days=5))
TROUBLE = Report(failing=True, troubles=1)


def report(*effects: Effect, wait: float = 0, probe: bool = False) -> Report:
    found = Report()
    for effect in effects:
        found = found.then(effect, wait_seconds=wait, probe=probe)
    return found


def seconds(endpoint: Endpoint, told: Report, now: datetime) -> float | None:
    until = pause_after(endpoint, told, rules=RULES, now=now)
    return None if until is None else (until - now).total_seconds()


@pytest.mark.parametrize(
    ("status", "effect"),
    [
        (200, Effect.SUCCESS), (204, Effect.SUCCESS), (302, Effect.ANSWERED), (400, Effect.ANSWERED),
        (404, Effect.ANSWERED), (500, Effect.TROUBLE), (503, Effect.TROUBLE), (429, Effect.BUSY),
        (502, Effect.BUSY), (504, Effect.BUSY), (None, Effect.TROUBLE),
    ],
)  # fmt: skip
def test_what_an_answer_says_of_its_endpoint(status: int | None, effect: Effect):
    assert effect_of(Answer(status, None if status else "the connection broke", None, None, 1)) is effect


def test_troubles_are_counted_from_the_last_answer_that_was_none():
    told = report(Effect.TROUBLE, Effect.ANSWERED, Effect.BUSY, Effect.TROUBLE)
    assert (told.calmed, told.troubles, told.failing, told.succeeded) == (True, 2, True, False)
    told = report(Effect.TROUBLE, Effect.SUCCESS)
    assert (told.calmed, told.troubles, told.failing, told.succeeded) == (True, 0, False, True)


def test_the_limit_pauses_and_one_less_does_not(make_endpoint: Callable[..., Endpoint], now: datetime):
    assert seconds(make_endpoint(failures=4), TROUBLE, now) is None
    assert seconds(make_endpoint(failures=5), TROUBLE, now) == 5


def test_pauses_double_up_to_the_longest(make_endpoint: Callable[..., Endpoint], now: datetime):
    probe = report(Effect.TROUBLE, probe=True)
    found = [
        seconds(
            make_endpoint(failures=5, pauses=pauses, paused_until=now + timedelta(seconds=45)), probe, now
        )
        for pauses in (1, 2, 6, 7, 1000)
    ]
    assert found == [10, 20, 320, 600, 600]


def test_who_asks_to_be_left_alone_is_at_once_and_for_as_long_as_asked(
    make_endpoint: Callable[..., Endpoint], now: datetime
):
    assert seconds(make_endpoint(failures=1), report(Effect.BUSY), now) == 5
    assert seconds(make_endpoint(failures=1), report(Effect.BUSY, wait=90), now) == 90
    assert seconds(make_endpoint(failures=1), report(Effect.BUSY, wait=7200), now) == 7200


def test_what_comes_back_during_a_pause_makes_it_no_longer_unless_it_asks_for_that(
    make_endpoint: Callable[..., Endpoint], now: datetime
):
    paused = make_endpoint(failures=9, pauses=1, paused_until=now + timedelta(seconds=5))
    assert seconds(paused, TROUBLE, now) is None
    assert seconds(paused, report(Effect.BUSY, wait=3), now) is None
    assert seconds(paused, report(Effect.BUSY, wait=30), now) == 30
    assert seconds(replace(paused, paused_until=now), TROUBLE, now) == 10


def test_a_probe_that_passes_ends_the_pause_also_when_the_delivery_itself_is_refused():
    assert [report(effect, probe=True).probe_passed for effect in Effect] == [True, True, False, False]
    assert not report(Effect.SUCCESS).probe_passed


@pytest.mark.parametrize(("days", "ends"), [(4.99, False), (5, True)])
def test_five_days_without_a_success_are_enough(
    make_endpoint: Callable[..., Endpoint], now: datetime, days: float, ends: bool
):
    endpoint = make_endpoint(failing_since=now - timedelta(days=days))
    assert is_failing_for_good(endpoint, rules=RULES, now=now) is ends
    assert not is_failing_for_good(make_endpoint(), rules=RULES, now=now)
