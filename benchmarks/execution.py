"""How fast executions go, through the whole path, beside ceilings of the same run.

    make bench BENCH=execution        (twelve minutes, a quiet machine; RECIPIENTS=100000,1000000 WORKERS=1,2)

Contacts are imported over HTTP, a campaign for all of them is executed with the limits off, and a compiled
sink (`sink/sink.c`) answers as Telegram does and counts who got how many. All of it, the sink included,
shares the machine's cores. Results: `results/execution.json` and `.md`, written after every part.
"""

import asyncio
import os
import signal
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, time
from typing import Any

import execution_reads as reads
from ceilings import inserting, sending, stored_bytes
from devstack.errors import StackError
from devstack.settings import StackSettings
from devstack.stack import Stack
from execution_contacts import csv_lines, ndjson
from execution_org import Org, TooLate, until
from execution_report import write
from execution_service.settings_engine import EngineSettings
from load import Unexpected
from service_kit.mongo.client import connect
from telegram_sink import Counts, TelegramSink
from watching import Watch

PROGRAMS = (
    "mongo", "redis", "kafka", "campaign-api", "campaign-relay", "campaign-consumer", "execution-api",
    "execution-relay", "execution-planner", "stats-api", "stats-relay", "stats-aggregator",
)  # fmt: skip
CEILING_MESSAGES = 100_000
SIDE_CONTACTS = 100_000
"""Contacts at most of the CSV import and of the driver's bare inserts."""
WARM_SECONDS = 300
PATIENCE_SECONDS = 120
SLOWEST = 1_500
"""Recipients a second below which a run is given up."""


def say(text: str) -> None:
    """Tell how far it is."""
    sys.stderr.write(f"{text}\n")


def numbers(name: str, default: str) -> list[int]:
    """The whole numbers of an environment variable, ascending."""
    return sorted(int(part) for part in os.environ.get(name, default).split(","))


class Bench:
    """One run against one stack."""

    def __init__(self, stack: Stack, sink: TelegramSink, sizes: list[int], workers: list[int]) -> None:
        self.stack, self.sink, self.sizes, self.workers = stack, sink, sizes, workers
        self.client = connect(stack.environment()["MONGO_URL"], timeout_ms=WARM_SECONDS * 1000)
        self.database = self.client["execution-service"]
        self.found: dict[str, Any] = {"facts": {}, "imports": [], "runs": [], "reads": [], "planning": []}
        self.found["facts"]["database"] = Path(stack.programs()["mongo"].command[0]).name

    def workers_named(self, count: int) -> list[str]:
        """The programs of so many workers."""
        return ["execution-worker", *(f"execution-worker-{number}" for number in range(2, count + 1))][:count]

    def pids(self) -> dict[str, int]:
        """Of every running program, the sink and this bench."""
        found = {row.name: row.pid for row in self.stack.status() if row.pid}
        return {**found, "sink": self.sink.process.pid, "bench": os.getpid()}

    async def everything(self) -> None:
        """All parts."""
        window = EngineSettings.model_fields["window_size"].default
        runners = EngineSettings.model_fields["worker_runners"].default
        await self.use_workers(0)
        messages = min(CEILING_MESSAGES, self.sizes[-1])
        self.found["ceilings"] = await sending(
            self.sink, messages=messages, in_flight=(64, window * runners), said=say
        )
        await self.side_imports(min(SIDE_CONTACTS, self.sizes[-1]))
        for number, size in enumerate(self.sizes, 1):
            org = Org(self.stack, f"bench-{size}", number)
            await self.import_all(org, size)
            for workers in self.workers:
                campaign_id = await self.run(org, size, workers)
                write(self.found)
            await self.look(org, campaign_id, size)
            await self.plan_alone(org)
            write(self.found)

    async def use_workers(self, count: int) -> None:
        """Only the first `count` workers run, freshly started ones, and a fresh planner plans."""
        for name in self.workers_named(self.workers[-1]):
            await asyncio.to_thread(self.stack.stop, name)
        await asyncio.to_thread(self.stack.restart, "execution-planner")
        for name in self.workers_named(count):
            await asyncio.to_thread(self.stack.start, name)

    # -- import -------------------------------------------------------------------------------------

    async def side_imports(self, count: int) -> None:
        """The same contacts as NDJSON, as CSV and by the driver alone."""
        org = Org(self.stack, "bench-side", 90)
        await org.found()
        for media, lines in (("application/x-ndjson", ndjson), ("text/csv", csv_lines)):
            other = org if lines is ndjson else Org(self.stack, "bench-side-csv", 91)
            await self.take(other, media, lines(count), count)
        pattern = await self.database["contacts"].find_one({"org": org.name})
        rate = await inserting(self.database, pattern or {}, count)
        self.found["imports"].append({"what": "bare driver", "contacts": count, "perSecond": round(rate)})
        say(f"import: {count:,} contacts by the bare driver: {rate:,.0f}/s")

    async def import_all(self, org: Org, size: int) -> None:
        """The contacts of a size, and the first answers of the database after them."""
        await org.found()
        await self.take(org, "application/x-ndjson", ndjson(size), size)
        began = perf_counter()
        await self.database["contacts"].find_one({"org": org.name})
        say(f"the database digested that in {perf_counter() - began:.1f} s")

    async def take(self, org: Org, media: str, chunks: Any, count: int) -> None:
        """One import, its speed and the API's memory in it."""
        with Watch({"execution-api": self.pids()["execution-api"]}) as watch:
            answer = await org.take(chunks, media)
        if (answer["imported"], answer["rejected"]) != (count, 0):
            raise TooLate(f"import of {count}: {answer}")
        row = {"what": media, "contacts": count, "perSecond": round(count / answer["seconds"]),
               "memory": watch.rows()["execution-api"]["megabytes"]}  # fmt: skip
        self.found["imports"].append(row)
        say(f"import: {count:,} contacts as {media}: {row['perSecond']:,}/s, the API {row['memory']} MB")

    # -- the whole path -----------------------------------------------------------------------------

    async def run(self, org: Org, size: int, workers: int) -> str:
        """One execution from its request to its statistics; the campaign."""
        await self.use_workers(workers)
        self.sink.reset()
        before = await stored_bytes(self.database)
        with Watch(self.pids()) as watch:
            began = time()
            campaign_id = await org.start(seconds=120)
            answered = time()
            planned = await self.completed(org, campaign_id, size)
            completed = time()
        counts, progress = self.sink.counts(), (await org.progress(campaign_id))["progress"]
        after = await stored_bytes(self.database)
        row = {
            "recipients": size, "workers": workers,
            "perSecond": round(counts.unique / max(counts.last - counts.first, 1e-3), 1),
            "seconds": {
                "execute answered": round(answered - began, 2), "first send": round(counts.first - began, 2),
                "planned": round(planned - began, 2), "last send": round(counts.last - began, 2),
                "completed": round(completed - began, 2),
            },
            "sink": asdict(counts), "progress": progress, "correct": _correct(counts, progress, size),
            "bytes": {name: round((count - before.get(name, 0)) / size, 2) for name, count in after.items()},
            "processes": watch.rows(), "series": watch.series(),
        }  # fmt: skip
        self.found["runs"].append(row)
        say(f"{size:,} recipients, {workers} workers: {row['perSecond']:,.0f}/s, {row['seconds']}, "
            f"correct: {row['correct']}")  # fmt: skip
        await self.counted(org, campaign_id, size)
        row["seconds"]["statistics right"] = round(time() - began, 2)
        return campaign_id

    async def completed(self, org: Org, campaign_id: str, size: int) -> float:
        """Wait for the end; when the total was final, in seconds since the epoch."""
        planned, told = 0.0, time()

        async def read() -> Any:
            nonlocal planned, told
            seen = await org.progress(campaign_id)
            if not planned and seen["progress"]["total"] == size:
                planned = time()
            if time() - told > 10:
                told = time()
                say(f"    {seen['progress']['processed']:,} of {seen['progress']['total']:,}")
            return seen

        limit = PATIENCE_SECONDS + size / SLOWEST
        await until(
            "the end", read, lambda seen: seen["status"] in ("completed", "failed"), seconds=limit, every=0.5
        )
        return planned

    async def counted(self, org: Org, campaign_id: str, size: int) -> None:
        """Wait until the statistics have everybody."""

        async def read() -> Any:
            return (await org.get("stats", f"/campaigns/{campaign_id}/statistics"))["overview"]

        await until("messagesSent", read, lambda seen: seen["messagesSent"] == size, seconds=PATIENCE_SECONDS)

    # -- afterwards ---------------------------------------------------------------------------------

    async def look(self, org: Org, campaign_id: str, size: int) -> None:
        """What the API shows of the last run, and how long it takes."""
        row: dict[str, Any] = {"recipients": size}
        for name, read in (
            ("pages", reads.recipients), ("audience", reads.audience), ("freshness", reads.freshness),
        ):  # fmt: skip
            try:
                row[name] = await read(org, campaign_id, size)
            except (TooLate, Unexpected) as problem:
                row[name] = {"note": str(problem)[:200]}
            say(f"{name} at {size:,}: {row[name]}")
        self.found["reads"].append(row)

    async def plan_alone(self, org: Org) -> None:
        """How long planning takes while nobody sends."""
        await self.use_workers(0)
        size = org.members
        with Watch(self.pids()) as watch:
            began = perf_counter()
            campaign_id = await org.start(seconds=PATIENCE_SECONDS)

            async def total() -> int:
                return int((await org.progress(campaign_id))["progress"]["total"])

            await until("planning", total, lambda seen: seen == size, seconds=PATIENCE_SECONDS + size / 2000)
            took = perf_counter() - began
        await org.send("campaign", "POST", f"/campaigns/{campaign_id}/cancel")
        self.found["planning"].append(
            {"recipients": size, "seconds": round(took, 2), "processes": watch.rows()}
        )
        say(f"planning {size:,} while nobody sends: {took:.1f} s")


def _correct(counts: Counts, progress: dict[str, Any], size: int) -> bool:
    """Whether everybody got it, once, and progress says so."""
    everybody = (counts.messages, counts.unique, counts.doubled, counts.strange, counts.greatest)
    return everybody == (size, size, 0, 0, size) and progress["successful"] == progress["total"] == size


def settings_of(folder: Path, sink: TelegramSink, workers: int) -> StackSettings:
    """A stack of the bench's own, with a cache for a million rows."""
    base = int(os.environ.get("BENCH_PORT_BASE", "17000"))
    return StackSettings(
        stack_dir=folder, stack_port_base=base, gateway_port=base + 300, stack_mongo_cache_mb=2048,
        stack_workers=workers, telegram_api_base_url=sink.url,
    )  # fmt: skip


def main() -> None:
    """A sink and a stack, the run, and their end. Exit code 1: a figure is missing or a count is wrong."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the stack ends with this process
    sizes, workers = numbers("RECIPIENTS", "100000,1000000"), numbers("WORKERS", "1,2")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, TelegramSink() as sink:
        stack = Stack(settings_of(Path(folder), sink, workers[-1]))
        names = (*PROGRAMS, *(name for name in stack.programs() if name.startswith("execution-worker")))
        stack, began, problem = Stack(stack.settings, only=names), perf_counter(), None
        stack.up(say)
        bench = Bench(stack, sink, sizes, workers)
        try:
            asyncio.run(bench.everything())
        except (TooLate, Unexpected, StackError) as error:
            bench.found["facts"]["stopped by"] = problem = str(error)
        finally:
            stack.down()
    bench.found["facts"]["seconds of the whole run"] = round(perf_counter() - began)
    say(f"written to {write(bench.found)}")
    if problem or not all(row["correct"] for row in bench.found["runs"]):
        raise SystemExit(f"error: {problem or 'somebody was lost or got it twice'}")


if __name__ == "__main__":
    main()
