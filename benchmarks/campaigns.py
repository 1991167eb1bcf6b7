"""The Campaigns API's speed beside its ceilings, measured in one run on one machine.

    make bench BENCH=campaigns        (ten minutes; ROWS=200000 in the org, SECONDS_EACH=4 a figure)

Each operation at 1, 16 and 64 clients: the API, a bare FastAPI route that answers the same bytes, and the
bare driver doing the same to the database; for GET also a bare route with the driver's call in it. Client,
server and database share the machine's cores. Results: `results/campaigns.json` and `.md`.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from itertools import count, cycle
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from bare_driver import BareDriver
from campaign_rows import ORG, campaign_rows, fill, orgs
from devstack import secrets
from devstack.settings import StackSettings
from devstack.stack import Stack
from load import Call, Http, Unexpected, measure
from report import write_report
from service_kit.mongo.client import connect

HERE = Path(__file__).parent
PROGRAMS = ("mongo", "redis", "kafka", "telegram-simulator", "campaign-api", "execution-api")
CLIENTS = (1, 16, 64)
BOT = {"name": "Bench", "token": "7000000009:only-the-simulator-knows-this-one", "default": True}
BODY = {
    "name": "Black Friday Campaign", "description": "Massive discounts for Black Friday", "type": "message",
    "goals": {"targetAudience": 20000, "conversionRate": 10, "revenue": 100000},
    "targetAudience": {"segments": ["bench"]}, "messages": [{"content": "Hello {{firstName|there}}!"}],
    "budget": 10000,
}  # fmt: skip
DRAFTS = 6_000
ENOUGH = 100_000
"""Requests before the memory is looked at."""


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{text}\n")


class Bench:
    """One run against one stack."""

    def __init__(self, stack: Stack, seconds: float, rows: int) -> None:
        environment = stack.environment()
        settings = stack.settings
        self.seconds, self.rows = seconds, rows
        self.api = Http(
            f"http://127.0.0.1:{settings.campaign_api_port}/api/v1",
            secrets.token(environment, org=ORG, role="admin"),
        )
        self.execution = Http(
            f"http://127.0.0.1:{settings.execution_api_port}/api/v1",
            secrets.token(environment, org=ORG, role="admin"),
        )
        pid = stack.pid("campaign-api")
        assert pid is not None  # noqa: S101 - the stack is up
        self.process = psutil.Process(pid)
        self.mongo_url = environment["MONGO_URL"]
        self.database = connect(self.mongo_url, timeout_ms=300_000)["campaign-service"]
        self.served = 0
        self.results: dict[str, dict[str, list[dict[str, Any]]]] = {}

    async def prepare(self) -> None:
        """The rows of the list, and what an execution needs."""
        say(f"storing {self.rows:,} campaigns")
        await fill(self.database, campaign_rows(self.rows, seed=1, org_of=orgs(self.rows)))
        await self.warm()
        await self.execution("POST", "/bots", json.dumps(BOT).encode(), status=201)
        contact = {"telegramChatId": 1, "segments": ["bench"]}
        for number in range(3):
            await self.execution("PUT", f"/contacts/bench-{number}", json.dumps(contact).encode())

    async def warm(self) -> None:
        """Until the database has digested the rows: its first answers after them take minutes."""
        await self.database["campaigns"].find_one({"org": ORG})
        good = 0
        while good < 20:
            try:
                await self.api("GET", "/campaigns")
                good += 1
            except Unexpected:
                good = 0
                await asyncio.sleep(0.5)

    async def create(self, wanted: int) -> list[str]:
        """So many fresh drafts."""
        body, ids = json.dumps(BODY).encode(), []

        async def some(share: int) -> None:
            for _ in range(share):
                answer = json.loads(await self.api("POST", "/campaigns", body, status=201))
                ids.append(answer["data"]["id"])

        await asyncio.gather(*(some(wanted // 16 + 1) for _ in range(16)))
        self.served += len(ids)
        return ids

    async def compare(self, name: str, calls: dict[str, Callable[[], Call]], **limits: Any) -> None:
        """Measure each of `calls` at every number of clients, one after the other."""
        rows: dict[str, list[dict[str, Any]]] = {what: [] for what in calls}
        for clients in CLIENTS:
            for what, make in calls.items():
                found = await measure(make(), clients=clients, seconds=self.seconds, **limits)
                if found.bad:
                    raise SystemExit(
                        f"error: {name}, {what}: {found.bad} of {found.calls} answers were wrong"
                    )
                self.served += found.calls if what == "api" else 0
                rows[what].append(found.row())
                say(f"{name:8} {what:14} {clients:3} clients {found.per_second:9,.0f}/s  "
                    f"p50 {found.p50:7.2f}  p95 {found.p95:7.2f}  p99 {found.p99:7.2f} ms")  # fmt: skip
        self.results[name] = rows


def each(values: list[str], call: Callable[[str], Awaitable[object]]) -> Call:
    """A call that takes the next value every time, round and round."""
    turn: Iterator[str] = cycle(values)
    return lambda: call(next(turn))


async def run(bench: Bench, bare: Http) -> None:
    """All operations."""
    api, rows = bench.api, bench.database["campaigns"]
    ids = [row["_id"] async for row in rows.find({"org": ORG}, {"_id": 1}).limit(2000)]
    drafts = await bench.create(DRAFTS * 2 + 500)
    edited = drafts[DRAFTS * 2 :]
    driver = BareDriver(bench.database.client, drafts[DRAFTS : DRAFTS * 2])
    body, put = json.dumps(BODY).encode(), (b'{"budget": %d}' % number for number in count())
    execute = iter(drafts[:DRAFTS])

    def bytes_of(name: str, method: str = "GET") -> Callable[[], Call]:
        return lambda: lambda: bare(method, f"/bytes/{name}", body if method == "POST" else None)

    await bench.compare("get", {
        "api": lambda: each(ids, lambda one: api("GET", f"/campaigns/{one}")),
        "bare FastAPI": bytes_of("get"),
        "FastAPI+driver": lambda: each(ids, lambda one: bare("GET", f"/driver/{one}")),
        "bare driver": lambda: each(ids, driver.get),
    })  # fmt: skip
    await bench.compare("list", {
        "api": lambda: lambda: api("GET", "/campaigns"),
        "bare FastAPI": bytes_of("list"),
        "bare driver": lambda: driver.list,
    })  # fmt: skip
    await bench.compare("create", {
        "api": lambda: lambda: api("POST", "/campaigns", body, status=201),
        "bare FastAPI": bytes_of("create", "POST"),
        "bare driver": lambda: driver.create,
    })  # fmt: skip
    await bench.compare("put", {
        "api": lambda: each(edited, lambda one: api("PUT", f"/campaigns/{one}", next(put))),
        "bare FastAPI": bytes_of("put", "POST"),
        "bare driver": lambda: each(edited, driver.put),
    })  # fmt: skip
    share = DRAFTS // len(CLIENTS)
    await bench.compare("execute", {
        "api": lambda: lambda: api("POST", f"/campaigns/{next(execute)}/execute"),
        "bare FastAPI": bytes_of("execute", "POST"),
        "bare driver": lambda: driver.execute,
    }, most=share)  # fmt: skip


async def answers(bench: Bench, folder: Path) -> None:
    """The bytes of each answer, for the bare routes."""
    api = bench.api
    (folder / "create").write_bytes(
        created := await api("POST", "/campaigns", json.dumps(BODY).encode(), status=201)
    )
    one = f"/campaigns/{json.loads(created)['data']['id']}"
    (folder / "get").write_bytes(await api("GET", one))
    (folder / "list").write_bytes(await api("GET", "/campaigns"))
    (folder / "put").write_bytes(await api("PUT", one, b'{"budget": 1}'))
    (folder / "execute").write_bytes(await api("POST", f"{one}/execute"))


async def memory(bench: Bench) -> dict[str, str]:
    """The API's memory after so many requests."""
    ids = [row["_id"] async for row in bench.database["campaigns"].find({"org": ORG}, {"_id": 1}).limit(2000)]
    call = each(ids, lambda one: bench.api("GET", f"/campaigns/{one}"))
    before = bench.process.memory_info().rss
    left = max(1, ENOUGH - bench.served)
    found = await measure(call, clients=16, seconds=600, most=left)
    bench.served += found.calls
    after = bench.process.memory_info().rss
    return {
        "requests served by the process": f"{bench.served:,}",
        "resident memory after the figures below, MB": f"{before / 1e6:.0f}",
        "resident memory after all requests, MB": f"{after / 1e6:.0f}",
    }


async def measured(stack: Stack) -> Path:
    """The whole run against a stack that is up; where the table is."""
    bench = Bench(stack, float(os.environ.get("SECONDS_EACH", "4")), int(os.environ.get("ROWS", "200000")))
    began = perf_counter()
    await bench.prepare()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        await answers(bench, folder)
        port = stack.settings.port("webhook_api_port")
        command = [sys.executable, str(HERE / "bare.py"), str(port), bench.mongo_url, name]
        bare = Http(f"http://127.0.0.1:{port}")
        process = subprocess.Popen(command)  # noqa: S603, ASYNC220 - our own script, at once
        try:
            await answering(bare)
            await run(bench, bare)
        finally:
            process.terminate()
            process.wait(10)
    facts = {
        "campaigns in the org's list": f"{bench.rows:,}",
        **await memory(bench),
        "seconds of the whole run": round(perf_counter() - began),
    }
    return write_report("campaigns", title="Campaigns API", results=bench.results, facts=facts)


async def answering(bare: Http) -> None:
    """Wait until the bare server answers."""
    for _ in range(200):
        try:
            await bare("GET", "/bytes/get")
            return
        except Exception:
            await asyncio.sleep(0.1)
    raise SystemExit("error: the bare server did not start")


def main() -> None:
    """A stack of its own, the run, and the stack's end."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        settings = StackSettings(
            stack_dir=Path(folder), stack_port_base=17000, gateway_port=17300, stack_mongo_cache_mb=2048
        )
        stack = Stack(settings, only=PROGRAMS)
        stack.up(say)
        try:
            say(f"written to {asyncio.run(measured(stack))}")
        finally:
            stack.down()


if __name__ == "__main__":
    main()
