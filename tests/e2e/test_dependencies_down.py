"""A part that everything leans on is gone, or hangs: who needs it is told in time, nobody else notices.

Hanging (SIGSTOP) is the hard case: connections stay open, what is sent is taken, nothing answers.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic
from typing import Any

import httpx
import pytest
from service_kit.testing.waiting import eventually

CLIENTS = 32
IN_TIME = 3.0
AT_ONCE = 1.0
SERVICES = ("campaign-api", "execution-api", "stats-api", "webhook-api")
DRAFT = {
    "name": "Summer Sale Campaign",
    "targetAudience": {"segments": ["seg123"]},
    "messages": [{"content": "Hello {{firstName}}"}],
}
Call = tuple[str, str, Any]


async def draft(world: Any) -> str:
    api = world.api()
    campaign = await api.call("POST", "/campaigns", json=DRAFT)
    await api.close()
    # Every service has heard of it: what a test asks later needs no event any more.
    await world.read(f"/campaigns/{campaign['id']}/progress")
    await world.read(f"/campaigns/{campaign['id']}/statistics")
    return str(campaign["id"])


async def ask(http: httpx.AsyncClient, call: Call) -> tuple[Call, float, httpx.Response]:
    method, path, body = call
    started = monotonic()
    answer = await http.request(method, path, json=body)
    return call, monotonic() - started, answer


async def ask_all(http: httpx.AsyncClient, calls: Sequence[Call]) -> list[tuple[Call, float, httpx.Response]]:
    """CLIENTS clients at once, the calls dealt out among them."""
    return await asyncio.gather(*(ask(http, calls[n % len(calls)]) for n in range(CLIENTS)))


def assert_told(asked: Sequence[tuple[Call, float, httpx.Response]]) -> None:
    """Each was answered 503 with everything that it owes, in time."""
    for call, seconds, answer in asked:
        assert answer.status_code == 503, (call, answer.status_code, answer.text)
        assert int(answer.headers["Retry-After"]) >= 1, call
        body = answer.json()
        assert body["error"]["code"] == "SERVICE_UNAVAILABLE", call
        assert body["requestId"] == answer.headers["X-Request-Id"], call
        assert seconds < IN_TIME, (call, seconds)


def assert_fine(asked: Sequence[tuple[Call, float, httpx.Response]], *, within: float) -> None:
    for call, seconds, answer in asked:
        assert answer.is_success, (call, answer.status_code, answer.text)
        assert seconds < within, (call, seconds)


async def readiness(world: Any) -> list[int]:
    ports = [world.stack.settings.port(f"{name.replace('-', '_')}_admin_port") for name in SERVICES]
    async with httpx.AsyncClient(timeout=AT_ONCE, trust_env=False) as http:
        answers = await asyncio.gather(*(http.get(f"http://127.0.0.1:{port}/readyz") for port in ports))
    return [answer.status_code for answer in answers]


def pids(world: Any) -> list[int]:
    return [world.stack.pid(name) for name in SERVICES]


@pytest.mark.parametrize("hang", [True, False], ids=["hanging", "killed"])
async def test_without_the_database_everybody_is_told_in_time_and_the_first_requests_after_it_succeed(
    world: Any, hang: bool
):
    await world.set_up(contacts=20, rate=100)
    campaign_id = await draft(world)
    reads: list[Call] = [
        ("GET", path, None)
        for path in (
            "/campaigns", f"/campaigns/{campaign_id}", f"/campaigns/{campaign_id}/progress", "/templates",
            f"/campaigns/{campaign_id}/statistics", "/contacts/c00001", "/segments", "/bots", "/webhooks",
        )
    ]  # fmt: skip
    writes: list[Call] = [
        ("POST", "/campaigns", DRAFT),
        ("PUT", f"/campaigns/{campaign_id}", {"description": "changed"}),
        ("PUT", "/contacts/c00001", {"telegramChatId": world.chat(1), "segments": ["seg123"]}),
    ]
    before = pids(world)
    async with world.http() as http, world.http(role=None) as nobody:
        assert_fine(await ask_all(http, reads + writes), within=IN_TIME)
        await world.take_away("mongo", hang=hang)
        try:
            told = asyncio.create_task(
                ask_all(http, [*reads, *writes, ("POST", f"/campaigns/{campaign_id}/execute", {})])
            )
            # What needs no database is answered while all the others wait for it.
            for status, seconds in [await needing_nothing(nobody, http, n) for n in range(3)]:
                assert status in (401, 404, 422)
                assert seconds < AT_ONCE
            assert await readiness(world) == [503] * len(SERVICES)
            assert_told(await told)
            assert_told(await ask_all(http, reads + writes))  # and those who come once it is known
        finally:
            await world.give_back("mongo", hang=hang)
        assert_fine(await ask_all(http, reads + writes), within=IN_TIME)
        assert_fine([await ask(http, ("POST", f"/campaigns/{campaign_id}/execute", {}))], within=IN_TIME)
    await eventually(lambda: readiness(world), lambda seen: seen == [200] * len(SERVICES))
    assert pids(world) == before
    await world.until_completed(campaign_id)


async def needing_nothing(
    nobody: httpx.AsyncClient, http: httpx.AsyncClient, number: int
) -> tuple[int, float]:
    call: Call = [
        ("GET", "/campaigns", None),
        ("GET", "/nowhere", None),
        ("POST", "/campaigns", {"type": "?"}),
    ][number]
    _, seconds, answer = await ask(nobody if number == 0 else http, call)
    return answer.status_code, seconds


@pytest.mark.parametrize("hang", [True, False], ids=["hanging", "killed"])
async def test_without_execution_service_an_execute_is_told_in_time_and_campaigns_go_on(
    world: Any, hang: bool
):
    await world.set_up(contacts=5, rate=100)
    campaign_id = await draft(world)
    execute: Call = ("POST", f"/campaigns/{campaign_id}/execute", {})
    others: list[Call] = [
        ("GET", f"/campaigns/{campaign_id}", None), ("GET", "/campaigns", None), ("POST", "/campaigns", DRAFT),
        ("GET", f"/campaigns/{campaign_id}/statistics", None), ("GET", "/webhooks", None),
    ]  # fmt: skip
    async with world.http() as http:
        await world.take_away("execution-api", hang=hang)
        try:
            told = asyncio.create_task(ask_all(http, [execute]))
            assert_fine(await ask_all(http, others), within=AT_ONCE * 2)
            assert_told(await told)
            assert (await http.get(f"/campaigns/{campaign_id}")).json()["data"]["status"] == "draft"
        finally:
            await world.give_back("execution-api", hang=hang)
        assert_fine([await ask(http, execute)], within=IN_TIME)
    await world.until_completed(campaign_id)


async def test_without_kafka_everything_is_answered_and_all_events_arrive_later_in_order(
    world: Any, kafka_outage: Any
):
    await world.set_up(contacts=5, rate=100)
    campaign_id = await draft(world)
    outage = asyncio.create_task(kafka_outage.run(seconds=5, hang=False))
    try:
        kafka_gone = lambda: asyncio.to_thread(world.stack.pid, "kafka")  # noqa: E731
        await eventually(kafka_gone, lambda pid: pid is None, seconds=60)
        calls: list[Call] = [
            ("GET", f"/campaigns/{campaign_id}", None), ("GET", "/campaigns", None), ("GET", "/webhooks", None),
            ("GET", f"/campaigns/{campaign_id}/progress", None), ("GET", f"/campaigns/{campaign_id}/statistics", None),
            ("PUT", "/contacts/c00002", {"telegramChatId": world.chat(2), "segments": ["seg123"]}),
        ]  # fmt: skip
        async with world.http() as http:
            assert_fine(await ask_all(http, calls), within=IN_TIME)
            # Started without Kafka: it runs once the event can leave.
            assert_fine([await ask(http, ("POST", f"/campaigns/{campaign_id}/execute", {}))], within=IN_TIME)
    finally:
        await outage
    await world.until_completed(campaign_id)


async def test_a_service_that_hangs_is_answered_for_by_the_gateway(world: Any) -> None:
    await world.take_away("stats-api", hang=True)
    try:
        async with world.http() as http:
            path = "/campaigns/camp_00000000000000000000000000/statistics"
            _, seconds, answer = await ask(http, ("GET", path, None))
            fine = await ask(http, ("GET", "/campaigns", None))
        # The page is the error envelope, unless the request for it met the hanging process, too.
        assert answer.status_code == 504
        assert seconds < 2 * IN_TIME + 2
        assert_fine([fine], within=IN_TIME)
    finally:
        await world.give_back("stats-api", hang=True)
