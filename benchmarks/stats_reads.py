"""The answers of stats-service: how fresh they are while outcomes come in, and how long they take."""

import asyncio
import contextlib
import json
import statistics
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice, product
from time import perf_counter, time
from typing import Any

from load import Call, Http, Unexpected, measure
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from stats_events import Windows
from stats_log import Stuck, Topics

PERIODS = ("1h", "24h", "7d", "30d", "all")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Australia/Lord_Howe")
PARTS = ("overview", "performance", "timeline", "segments", "variations", "errors", "cost")
FEW = 24
"""Questions that are asked again and again, so that their answers are kept."""
POLL_SECONDS = 0.05
SETTLE_SECONDS = 30


@dataclass
class Watched:
    """A campaign under way: what was sent until when, and what the API showed when."""

    windows: Windows
    marks: list[tuple[float, int]] = field(default_factory=list)
    shown: list[tuple[float, int]] = field(default_factory=list)

    def ages(self) -> list[float]:
        """Of each window: seconds from its outcomes being known to an answer that has them. Raises Stuck."""
        numbers = [number for _, number in self.shown]
        found = []
        for at, sent in self.marks:
            place = bisect_left(numbers, sent)
            if place == len(numbers):
                raise Stuck(f"{sent} messages were never shown; last: {numbers[-1:]}")
            found.append(self.shown[place][0] - at)
        return found


async def freshness(
    api: Http,
    transactions: MongoTransactions,
    outbox: MongoOutbox,
    campaigns: Sequence[Windows],
    *,
    per_second: int,
    seconds: float,
) -> dict[str, Any]:
    """Windows into the outbox as workers put them there, at this pace; how long until an answer has them.

    Everything behind is the real path: relay, Kafka, aggregator, API. The API is asked again and again.
    """  # fmt: skip
    watched, over = [Watched(windows) for windows in campaigns], asyncio.Event()
    pollers = [asyncio.create_task(_poll(api, one, over)) for one in watched]
    began, made, late = perf_counter(), 0, 0.0
    storing: set[asyncio.Task[None]] = set()
    try:
        for one in cycle(watched):
            at = began + made / per_second
            if at - began > seconds:
                break
            late = max(late, perf_counter() - at)
            await asyncio.sleep(max(0.0, at - perf_counter()))
            made += one.windows.outcomes
            task = asyncio.create_task(_store(transactions, outbox, one))
            storing.add(task)
            task.add_done_callback(storing.discard)
        took = perf_counter() - began
        await asyncio.gather(*storing)
        await _all_shown(watched)
    finally:
        over.set()
        await asyncio.gather(*pollers)
    ages = [age for one in watched for age in one.ages()]
    points = statistics.quantiles(ages, n=100)
    return {
        "perSecond": round(made / took), "seconds": round(took, 1), "windows": len(ages),
        "p50": round(points[49], 3), "p95": round(points[94], 3), "most": round(max(ages), 3),
        "answers": sum(len(one.shown) for one in watched), "behindPlan": round(late, 3),
    }  # fmt: skip


async def _store(transactions: MongoTransactions, outbox: MongoOutbox, one: Watched) -> None:
    event = one.windows.next()
    one.marks.append((perf_counter(), one.windows.sent))
    await transactions.run(lambda tx: outbox.add(tx, event))


async def _poll(api: Http, one: Watched, over: asyncio.Event) -> None:
    path = f"/campaigns/{one.windows.campaign}/statistics"
    while not over.is_set():
        with contextlib.suppress(Unexpected):  # 404 until the campaign is known
            seen = json.loads(await api("GET", path))["data"]["overview"]["messagesSent"]
            if not one.shown or seen != one.shown[-1][1]:
                one.shown.append((perf_counter(), seen))
        await asyncio.sleep(POLL_SECONDS)


async def _all_shown(watched: Sequence[Watched]) -> None:
    end = perf_counter() + SETTLE_SECONDS
    while perf_counter() < end:
        if all(one.shown and one.shown[-1][1] == one.windows.sent for one in watched):
            return
        await asyncio.sleep(POLL_SECONDS)
    raise Stuck(f"not shown within {SETTLE_SECONDS} s: {[one.shown[-1:] for one in watched]}")


def history(windows: Windows, days: int) -> Iterator[Any]:
    """A window in every quarter of an hour of so many days until now."""
    now = int(time()) // 60
    for minute in range(now - days * 24 * 60, now, 15):
        yield windows.next(minute=minute)


async def answers(
    api: Http,
    bare: Http,
    topics: Topics,
    windows: Windows,
    *,
    clients: Sequence[int],
    seconds: float,
    said: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Latencies of GET /statistics, beside a bare route that answers the same bytes."""  # fmt: skip
    path = f"/campaigns/{windows.campaign}/statistics"
    new, few = cycle(questions()), cycle(islice(questions(), FEW))
    calls: dict[str, Call] = {
        "the same question": lambda: api("GET", path),
        "the same, being counted": lambda: api("GET", path),
        f"one of {FEW} questions": lambda: api("GET", f"{path}?{next(few)}"),
        "another question each time": lambda: api("GET", f"{path}?{next(new)}"),
        "bare FastAPI, same bytes": lambda: bare("GET", "/bytes/statistics"),
    }
    rows = []
    for what, call in calls.items():
        for count in clients:
            async with _counted(topics, windows, on="counted" in what):
                found = await measure(call, clients=count, seconds=seconds)
            if found.bad:
                raise Stuck(f"{what}: {found.bad} of {found.calls} answers were wrong")
            rows.append({"what": what, **found.row()})
            said(f"{what:27} {count:3} clients {found.per_second:9,.0f}/s  p50 {found.p50:7.2f}  "
                 f"p95 {found.p95:7.2f}  p99 {found.p99:7.2f} ms")  # fmt: skip
    return rows


@contextlib.asynccontextmanager
async def _counted(topics: Topics, windows: Windows, *, on: bool) -> AsyncIterator[None]:
    """Ten windows a second for the campaign meanwhile."""

    async def put() -> None:
        while True:
            await topics.put([windows.next()])
            await asyncio.sleep(0.1)

    task = asyncio.create_task(put()) if on else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def questions() -> Iterator[str]:
    """Queries, no two alike: every period, in every zone, for every choice of parts."""
    choices = range(1, 2 ** len(PARTS))
    for choice, zone, period in product(choices, ZONES, PERIODS):
        parts = [part for place, part in enumerate(PARTS) if choice >> place & 1]
        yield f"period={period}&timezone={zone}&metrics={','.join(parts)}"
