"""The preflight call against real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from time import perf_counter

import pytest
from campaign_service.adapters.http_preflight import HttpPreflight
from campaign_service.application.ports import Bot, Forecast, PreflightAnswer, PreflightQuery
from contracts.events.campaign import (
    AudienceDefinition,
    ExecutionOptions,
    ExecutionSnapshot,
    FrozenMessage,
)
from service_kit.errors import DependencyDown

pytestmark = pytest.mark.integration
QUERY = PreflightQuery("acme", ("seg1",), {"tier": 1}, ("seg2",), False, 10, "camp_1", ("bot_1",))
BOT = {"id": "bot_1", "name": "B", "perSecond": 30, "paidPerSecond": 1000}
GOOD = {
    "totalCount": 100,
    "targeted": 10,
    "bots": [BOT],
    "testers": 1,
    "suppressed": {"OPTED_OUT": 2},
    "later": "unknown fields are ignored",
}
Answer = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(answer: Answer) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that reads one request and lets `answer` do the rest; its URL and what it read."""
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        seen.append(head + await reader.readexactly(length))
        await answer(writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}", seen


def answering(status: str, body: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return answer


async def ask(url: str) -> PreflightAnswer:
    preflight = HttpPreflight(url, token="internal", timeout_seconds=0.5)
    try:
        return await preflight.ask(QUERY)
    finally:
        await preflight.close()


async def test_it_asks_with_the_internal_token_and_reads_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with server(answering("200 OK", json.dumps(GOOD).encode())) as (url, seen):
        assert await ask(url) == PreflightAnswer(100, 10, (Bot("bot_1", "B", 30, 1000),), 1, {"OPTED_OUT": 2})
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /internal/preflight ") and b"Bearer internal" in head
    assert json.loads(body) == {
        "org": "acme",
        "segments": ["seg1"],
        "filters": {"tier": 1},
        "excludeSegments": ["seg2"],
        "testMode": False,
        "targetPercentage": 10,
        "samplingSeed": "camp_1",
        "botIds": ["bot_1"],
    }


SNAPSHOT = ExecutionSnapshot(
    messages=[FrozenMessage(id="msg_1", content="Hi {{firstName}} \u00e4")],
    audience=AudienceDefinition(segments=["seg1"]),
    options=ExecutionOptions(target_percentage=10),
    sampling_seed="camp_1",
    budget=12.5,
)
TOLD = {"totalCount": 100, "suppressed": {"MISSING_FIELD": 3}, "messages": 97, "seconds": 3.2, "cost": 9.7}


async def foretell(url: str) -> Forecast:
    preflight = HttpPreflight(url, token="internal", timeout_seconds=0.5)
    try:
        return await preflight.foretell("acme", SNAPSHOT, begin=datetime(2026, 6, 1, 12, tzinfo=UTC))
    finally:
        await preflight.close()


async def test_a_forecast_is_asked_with_all_that_the_execution_would_carry() -> None:
    async with server(answering("200 OK", json.dumps(TOLD).encode())) as (url, seen):
        assert await foretell(url) == Forecast(100, {"MISSING_FIELD": 3}, 3.2, 9.7)
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /internal/forecast ") and b"Bearer internal" in head
    asked = json.loads(body)
    assert (asked["org"], asked["begin"]) == ("acme", "2026-06-01T12:00:00+00:00")
    assert ExecutionSnapshot.model_validate(asked["snapshot"]) == SNAPSHOT
    async with server(answering("200 OK", json.dumps({**TOLD, "cost": -1}).encode())) as (url, _):
        with pytest.raises(DependencyDown):
            await foretell(url)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        ("500 No", b"{}"),
        ("401 No", b"{}"),
        ("200 OK", b"not json"),
        ("200 OK", b'{"totalCount": -1}'),
        ("200 OK", json.dumps({**GOOD, "bots": [{**BOT, "perSecond": 0}]}).encode()),
    ],
)
async def test_any_other_answer_counts_as_none(status: str, body: bytes) -> None:
    async with server(answering(status, body)) as (url, _):
        with pytest.raises(DependencyDown):
            await ask(url)


async def test_an_answer_that_trickles_is_cut_off_at_the_deadline() -> None:
    async def trickle(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.05)

    async with server(trickle) as (url, _):
        started = perf_counter()
        with pytest.raises(DependencyDown):
            await ask(url)
        assert perf_counter() - started < 1.5


async def test_a_closed_port_is_no_answer() -> None:
    async with server(answering("200 OK", b"")) as (url, _):
        pass
    with pytest.raises(DependencyDown):
        await ask(url)
