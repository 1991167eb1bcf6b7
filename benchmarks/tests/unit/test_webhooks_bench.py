"""The webhooks' bench notes each arrival, and does not call a run right in which one is missing or doubled."""

import urllib.request
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from telegram_sink import compiler
from webhook_sink import WebhookSink
from webhooks import Bench, Failed

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C compiler")


@pytest.fixture
def sink() -> Iterator[WebhookSink]:
    with WebhookSink() as running:
        yield running


def deliver(sink: WebhookSink, event: int, hook: int) -> None:
    request = urllib.request.Request(  # noqa: S310 - our own address
        sink.hook(hook), data=b"{}", headers={"webhook-id": f"evt_{event:026d}"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
        assert answer.status == 200


def bench(sink: WebhookSink) -> Bench:
    command: Any = SimpleNamespace(
        environment=dict, programs=lambda: {"mongo": SimpleNamespace(command=("server",))}
    )
    return Bench(command, sink)


def test_the_sink_tells_which_event_arrived_where_and_when(sink: WebhookSink):
    deliver(sink, 7, 0)
    deliver(sink, 123456, 99)
    first, second = sink.arrivals()
    assert [(item.event, item.hook) for item in (first, second)] == [(7, 0), (123456, 99)]
    assert 0 < first.at <= second.at
    sink.reset()
    assert sink.arrivals() == []


def test_latencies_are_those_of_each_event_at_each_hook(sink: WebhookSink):
    for event in (1, 2):
        for hook in (0, 1):
            deliver(sink, event, hook)
    at = {event: max(item.at for item in sink.arrivals() if item.event == event) - 1 for event in (1, 2)}
    found = bench(sink).latencies(at, 2)
    assert 0 < found["p50"] <= found["p95"] <= found["most"] == 1000.0


@pytest.mark.parametrize("arrived", [[(1, 0)], [(1, 0), (1, 1), (1, 1)], [(1, 0), (2, 0)]])
def test_a_run_with_something_missing_or_doubled_is_not_right(
    sink: WebhookSink, arrived: list[tuple[int, int]]
):
    for event, hook in arrived:
        deliver(sink, event, hook)
    with pytest.raises(Failed):
        bench(sink).latencies({1: 0.0}, 2)
