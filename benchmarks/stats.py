"""How fast statistics are counted, how fresh they are and how soon answered, beside ceilings of the same run.

    make bench BENCH=stats        (ten minutes, a quiet machine; SCALE=0.1 a tenth, ONLY=answers a part)

Events are put into the log (or the outbox) as workers put them there; a real aggregator folds them, a real
API is asked. Results: `results/stats.json` and `.md`, written after every part.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
from contracts.envelope import encode
from devstack import probes, secrets
from devstack.components import kafka
from devstack.errors import StackError
from devstack.settings import StackSettings
from devstack.stack import Stack
from execution_org import TooLate, until
from load import Http, Unexpected
from service_kit.clock import SystemClock
from service_kit.mongo.client import connect
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from stats_events import ORG, Windows, created, in_turns
from stats_log import Stuck, Topics, followed
from stats_reads import POLL_SECONDS, answers, freshness, history
from stats_report import write

HERE = Path(__file__).parent
PROGRAMS = ("mongo", "redis", "kafka", "execution-relay", "stats-api", "stats-relay", "stats-aggregator")
EVENTS = {1: 40_000, 100: 20_000, 500: 10_000}
"""Outcomes an event → events."""
CAMPAIGNS = 24
FEW, MANY, ROUNDS = 1_000, 10_000, 2
PER_SECOND, FRESH_SECONDS, FRESH_CAMPAIGNS, WINDOW = 5_000, 30.0, 5, 100
DAYS, CLIENTS, ANSWER_SECONDS = 90, (1, 16), 8.0
PARTS = ("folding", "memory", "freshness", "answers")
FOLD_SECONDS, SHOWN_SECONDS = 240, 15


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{text}\n")


class Bench:
    """One run against one stack."""

    def __init__(self, stack: Stack, scale: float) -> None:
        environment, settings = stack.environment(), stack.settings
        self.stack, self.scale = stack, scale
        self.client = connect(environment["MONGO_URL"], timeout_ms=60_000)
        self.database = self.client["stats-service"]
        self.topics = Topics(kafka.bootstrap_servers(settings))
        self.token = secrets.token(environment, org=ORG, role="admin")
        self.api = Http(f"http://127.0.0.1:{settings.stats_api_port}/api/v1", self.token)
        self.found: dict[str, Any] = {"facts": {}, "folding": []}
        self.found["facts"]["database"] = Path(stack.programs()["mongo"].command[0]).name

    def pids(self, *names: str) -> dict[str, int]:
        """Of the programs with these names."""
        return {name: pid for name in names if (pid := self.stack.pid(name))}

    async def everything(self, parts: Sequence[str]) -> None:
        """The parts named."""
        try:
            for part in parts:
                await getattr(self, part)()
                write(self.found)
        finally:
            await self.topics.close()

    async def folding(self) -> None:
        """Every size of event."""
        for outcomes, events in EVENTS.items():
            await self.fold(outcomes, max(CAMPAIGNS, round(events * self.scale)))

    async def fold(self, outcomes: int, events: int) -> None:
        """So many events at once, by the bare loop and by the aggregator."""
        await asyncio.to_thread(self.stack.stop, "stats-aggregator")
        campaigns = [Windows(outcomes) for _ in range(CAMPAIGNS)]
        said = (created(one.campaign) for one in campaigns)
        bounds = await self.topics.put(chain(said, in_turns(campaigns, events)))
        bare = await self.topics.bare(bounds)
        starting = asyncio.create_task(asyncio.to_thread(self.stack.start, "stats-aggregator"))
        while not self.pids("stats-aggregator"):  # noqa: ASYNC110 - the pid comes from another process
            await asyncio.sleep(0.05)
        pace = await followed(
            self.database, bounds, self.pids("stats-aggregator", "mongo"), seconds=FOLD_SECONDS
        )
        await starting
        right = await self.right(campaigns)
        million = pace.messages * outcomes / 1e6
        row = {
            "outcomes": outcomes, "events": events, "perSecond": round(pace.per_second * outcomes),
            "seconds": round(pace.seconds, 2), "bytes": len(encode(Windows(outcomes).next())),
            "bare": round(bare["outcomes"] / bare["seconds"]), "right": right,
            "cpu": {name: round(cpu / million, 2) for name, cpu in pace.cpu.items()}
            | {"bare": round(bare["cpuSeconds"] / bare["outcomes"] * 1e6, 2)},
        }  # fmt: skip
        self.found["folding"].append(row)
        say(f"folding {outcomes} an event: {row['perSecond']:,}/s, ceiling {row['bare']:,}/s, "
            f"CPU-s a million: {row['cpu']}, right: {right}")  # fmt: skip

    async def right(self, campaigns: Sequence[Windows]) -> bool:
        """Whether the API shows what was sent of each campaign."""
        for one in campaigns:
            try:
                await self.shown(one)
            except TooLate as error:
                say(str(error))
                return False
        return True

    async def shown(self, one: Windows) -> None:
        """Wait until all of a campaign is in its statistics. Raises TooLate."""

        async def read() -> int:
            answer = json.loads(await self.api("GET", f"/campaigns/{one.campaign}/statistics"))
            return int(answer["data"]["overview"]["messagesSent"])

        await until(f"{one.sent} sent", read, lambda seen: seen == one.sent, seconds=SHOWN_SECONDS)

    async def memory(self) -> None:
        """A fresh aggregator's memory after as many events of few and of many campaigns."""
        await asyncio.to_thread(self.stack.stop, "stats-aggregator")
        await asyncio.to_thread(self.stack.start, "stats-aggregator")
        process = psutil.Process(self.pids("stats-aggregator")["stats-aggregator"])
        few, many = max(10, round(FEW * self.scale)), max(50, round(MANY * self.scale))
        campaigns = [Windows(20) for _ in range(many)]
        rows = []
        for what, some in (
            (f"{few:,} campaigns", campaigns[:few]), (f"{few:,} again", campaigns[:few]),
            (f"{many:,} campaigns", campaigns), (f"{many:,} again", campaigns),
        ):  # fmt: skip
            began = (created(one.campaign) for one in some if not one.told)
            bounds = await self.topics.put(chain(began, in_turns(some, many)))
            pace = await followed(self.database, bounds, {}, seconds=FOLD_SECONDS)
            megabytes = round(process.memory_info().rss / 1e6, 1)
            rows.append({"what": what, "events": many, "megabytes": megabytes,
                         "eventsPerSecond": round(pace.per_second)})  # fmt: skip
            say(f"memory after {what}: {megabytes} MB, {pace.per_second:,.0f} events/s")
        growth = max(row["megabytes"] for row in rows[2:]) / rows[1]["megabytes"]
        self.found["memory"] = {"rows": rows, "growth": round(growth, 3)}

    async def freshness(self) -> None:
        """Outcomes at a steady pace, through the outbox, until they are shown."""
        campaigns = [Windows(WINDOW) for _ in range(FRESH_CAMPAIGNS)]
        bounds = await self.topics.put(created(one.campaign) for one in campaigns)
        await self.topics.put(one.next() for one in campaigns)
        await followed(self.database, bounds, {}, seconds=FOLD_SECONDS)
        outbox = MongoOutbox(self.client["execution-service"], clock=SystemClock())
        row = await freshness(
            self.api, MongoTransactions(self.client, timeout=30), outbox, campaigns,
            per_second=PER_SECOND, seconds=max(5.0, FRESH_SECONDS * self.scale),
        )  # fmt: skip
        self.found["freshness"] = {**row, "campaigns": len(campaigns), "poll": POLL_SECONDS}
        say(f"freshness: {self.found['freshness']}")

    async def answers(self) -> None:
        """GET /statistics for a campaign with a long history."""
        windows = Windows(WINDOW)
        days = max(2, round(DAYS * min(1.0, self.scale)))
        bounds = await self.topics.put(chain([created(windows.campaign)], history(windows, days)))
        await followed(self.database, bounds, {}, seconds=FOLD_SECONDS)
        await self.shown(windows)
        raw = await self.api("GET", f"/campaigns/{windows.campaign}/statistics")
        self.found["facts"]["days of history"] = days
        self.found["facts"]["bytes of the whole answer"] = f"{len(raw):,}"
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "statistics").write_bytes(raw)
            port = self.stack.settings.port("campaign_api_port")
            command = [sys.executable, str(HERE / "bare.py"), str(port), "mongodb://unused", folder]
            bare = Http(f"http://127.0.0.1:{port}")

            async def listening() -> str | None:
                return probes.port(port)()

            process = subprocess.Popen(command)  # noqa: S603, ASYNC220 - our own script, at once
            try:
                await until("the bare server", listening, lambda problem: problem is None, seconds=20)
                self.found["answers"] = await answers(
                    self.api, bare, self.topics, windows, clients=CLIENTS,
                    seconds=max(1.0, ANSWER_SECONDS * self.scale), said=say,
                )  # fmt: skip
            finally:
                process.terminate()
                process.wait(10)


def settings_of(folder: Path) -> StackSettings:
    """A stack of the bench's own, with a cache for what it writes."""
    base = int(os.environ.get("BENCH_PORT_BASE", "17000"))
    return StackSettings(
        stack_dir=folder, stack_port_base=base, gateway_port=base + 300, stack_mongo_cache_mb=2048
    )


def main() -> None:
    """A stack, the run, and its end. Exit code 1: a figure is missing or a number is wrong."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack ends with this process
    parts = (os.environ.get("ONLY") or ",".join(PARTS)).split(",")  # make hands on an empty one
    if not set(parts) <= set(PARTS):
        raise SystemExit(f"error: ONLY={','.join(parts)}: parts are {', '.join(PARTS)}")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        stack, began, problem = Stack(settings_of(Path(folder)), only=PROGRAMS), perf_counter(), None
        stack.up(say)
        bench = Bench(stack, float(os.environ.get("SCALE", "1")))
        try:
            asyncio.run(bench.everything(parts))
        except (TooLate, Stuck, Unexpected, StackError) as error:
            bench.found["facts"]["stopped by"] = problem = str(error)[:500]
        finally:
            stack.down()
    bench.found["facts"]["seconds of the whole run"] = round(perf_counter() - began)
    say(f"written to {write(bench.found)}")
    if problem or not all(row["right"] for row in bench.found["folding"]):
        raise SystemExit(f"error: {problem or 'a number is wrong'}")


if __name__ == "__main__":
    main()
