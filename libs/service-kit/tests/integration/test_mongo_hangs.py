"""A MongoDB that takes everything and answers nothing: answers come in time, and nothing is left behind."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import SecretStr
from pymongo.errors import PyMongoError
from service_kit.api.app import create_api
from service_kit.mongo.client import Client, connect
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.ports import Tx
from service_kit.settings import ServiceSettings
from service_kit.testing.proxy import Proxy
from service_kit.testing.waiting import eventually

pytestmark = pytest.mark.integration
TIMEOUT_MS = 800
IN_TIME = 1.5
CLIENTS = 32


@pytest.fixture
async def proxy(mongo_url: str) -> AsyncIterator[Proxy]:
    parts = urlsplit(mongo_url)
    async with Proxy(parts.hostname or "", parts.port or 0) as one:
        yield one


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    one = connect(f"mongodb://127.0.0.1:{proxy.port}/?directConnection=true", timeout_ms=TIMEOUT_MS)
    await one.admin.command("ping")
    yield one
    proxy.thaw()
    await asyncio.to_thread(one.close)  # it waits for its monitors, which wait for our proxy


async def test_a_transaction_that_hangs_ends_in_time_commits_nothing_and_leaves_no_lock(
    client: Client, proxy: Proxy, mongo_database: Any
):
    rows = client[mongo_database.name]["rows"]
    await rows.insert_one({"_id": 1, "n": 0})
    transactions = MongoTransactions(client, timeout=TIMEOUT_MS / 1000)

    async def add_one(tx: Tx, *, hang: bool) -> None:
        await rows.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session_of(tx))
        if hang:
            proxy.freeze()
        await rows.insert_one({"of": "the transaction"}, session=session_of(tx))

    started = monotonic()
    with pytest.raises((TimeoutError, PyMongoError)):
        await transactions.run(lambda tx: add_one(tx, hang=True))
    assert monotonic() - started < IN_TIME
    proxy.thaw()

    async def again() -> bool:
        try:
            await transactions.run(lambda tx: add_one(tx, hang=False))
        except (TimeoutError, PyMongoError):
            return False
        return True

    await eventually(again, bool, seconds=3)  # the server alone would hold the lock for 5 s
    assert (await mongo_database["rows"].find_one({"_id": 1}))["n"] == 1
    assert await mongo_database["rows"].count_documents({"of": "the transaction"}) == 1


async def test_a_transaction_that_is_cancelled_commits_nothing_and_leaves_no_lock(
    client: Client, mongo_database: Any
):
    rows = client[mongo_database.name]["rows"]
    await rows.insert_one({"_id": 1, "n": 0})
    transactions = MongoTransactions(client, timeout=5)
    written = asyncio.Event()

    async def work(tx: Tx, *, hang: bool) -> None:
        await rows.update_one({"_id": 1}, {"$inc": {"n": 1}}, session=session_of(tx))
        written.set()
        if hang:
            await asyncio.Event().wait()

    running = asyncio.create_task(transactions.run(lambda tx: work(tx, hang=True)))
    await written.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await transactions.run(lambda tx: work(tx, hang=False))
    assert await mongo_database["rows"].find_one({"_id": 1}) == {"_id": 1, "n": 1}


@pytest.fixture(params=[TIMEOUT_MS / 1000 + 0.2])
async def api(
    request: pytest.FixtureRequest, client: Client, mongo_url: str, mongo_database: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Routes that read, write in a transaction, need nothing, hang, and stream. The parameter: the last resort."""
    rows = client[mongo_database.name]["rows"]
    await rows.insert_one({"of": "the fixture"})
    router = APIRouter()
    transactions = MongoTransactions(client, timeout=TIMEOUT_MS / 1000)

    @router.get("/rows")
    async def read() -> dict[str, int]:
        return {"count": await rows.count_documents({})}

    @router.post("/rows")
    async def write() -> dict[str, bool]:
        async def work(tx: Tx) -> None:
            await rows.find_one({}, session=session_of(tx))
            await rows.insert_one({}, session=session_of(tx))

        await transactions.run(work)
        return {"done": True}

    @router.get("/nothing")
    async def nothing() -> dict[str, bool]:
        return {"done": True}

    @router.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    @router.post("/for-ever")
    @router.get("/for-ever")
    async def for_ever() -> None:
        await asyncio.Event().wait()

    @router.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(TIMEOUT_MS / 1000 / 2)
                yield b"%d\n" % await rows.count_documents({})

        return StreamingResponse(lines())

    settings = ServiceSettings(
        kafka_bootstrap_servers="none", mongo_url=SecretStr(mongo_url), jwt_secret=SecretStr("s" * 32),
        mongo_timeout_ms=TIMEOUT_MS, request_timeout_seconds=request.param,
    )  # fmt: skip
    app = create_api(title="t", routers=[router], settings=settings, statuses={})
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://t/api/v1", timeout=30) as http:
        yield http


async def timed(api: httpx.AsyncClient, method: str, path: str, **given: Any) -> tuple[float, httpx.Response]:
    started = monotonic()
    answer = await api.request(method, path, **given)
    return monotonic() - started, answer


def assert_says_down(seconds: float, answer: httpx.Response) -> None:
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["Retry-After"]) >= 1
    assert answer.json()["error"]["code"] == "SERVICE_UNAVAILABLE"
    assert answer.json()["requestId"]
    assert seconds < IN_TIME


async def test_many_requests_at_once_on_a_database_that_hangs_are_all_told_in_time(
    api: httpx.AsyncClient, proxy: Proxy
):
    """More than the driver has threads: those that wait for one are told as well, and the loop is never blocked."""
    proxy.freeze()
    requests = [timed(api, "GET" if n % 2 else "POST", "/rows") for n in range(CLIENTS)]
    alive = asyncio.create_task(longest_pause())
    for seconds, answer in await asyncio.gather(*requests):
        assert_says_down(seconds, answer)
    seconds, answer = await timed(api, "GET", "/nothing")
    assert (answer.status_code, seconds < 0.2) == (200, True)
    alive.cancel()
    assert await alive < 0.5
    proxy.thaw()
    first = await asyncio.gather(*(timed(api, "GET" if n % 2 else "POST", "/rows") for n in range(CLIENTS)))
    assert [answer.status_code for _, answer in first] == [200] * CLIENTS


@pytest.mark.parametrize("api", [60], indirect=True)
async def test_a_request_that_hangs_in_the_database_needs_no_last_resort(
    api: httpx.AsyncClient, proxy: Proxy
):
    """Its thread is free then: were it not, a database that hangs for long would take them all."""
    proxy.freeze()
    assert_says_down(*await timed(api, "GET", "/rows"))
    assert_says_down(*await timed(api, "POST", "/rows"))


async def longest_pause() -> float:
    """How long the event loop was away at most, until cancelled."""
    longest = 0.0
    try:
        while True:
            started = monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, monotonic() - started)
    except asyncio.CancelledError:
        return longest


async def test_what_hangs_for_another_reason_is_told_in_time_too(api: httpx.AsyncClient):
    assert_says_down(*await timed(api, "GET", "/for-ever"))


async def test_a_stream_may_last_longer_and_may_still_read(api: httpx.AsyncClient):
    seconds, answer = await timed(api, "GET", "/stream")
    assert answer.text == "1\n1\n1\n"
    assert seconds > TIMEOUT_MS / 1000 + 0.2


async def test_a_slow_client_is_not_cut_off_while_it_sends(api: httpx.AsyncClient):
    async def body() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(TIMEOUT_MS / 1000 + 0.4)
        yield b"}"

    answer = await api.post("/rows", content=body(), headers={"Content-Type": "application/json"})
    assert answer.status_code == 200


async def test_a_body_that_nobody_reads_and_one_that_is_too_large_change_nothing(api: httpx.AsyncClient):
    assert_says_down(*await timed(api, "POST", "/for-ever", json={"a": 1}))
    large = await api.post("/echo", json={"text": "x" * 600_000})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b" " * 100_000

    large = await api.post("/echo", content=chunks(), headers={"Content-Type": "application/json"})
    assert (large.status_code, large.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert (await api.post("/echo", json={"text": "ä"})).json() == {"text": "ä"}
