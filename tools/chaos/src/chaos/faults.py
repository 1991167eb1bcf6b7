"""Doing it: processes killed by SIGKILL, Kafka and Redis parted from the services by toxiproxy.

What was in flight is looked up in the database, and only for the bound on unknown outcomes: the
intents that a killed worker left behind are what nobody can know of.
"""

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec
import pymongo
from devstack.components import mongo
from devstack.errors import StackError
from devstack.stack import Stack
from pymongo.errors import PyMongoError

from chaos.schedule import How

PATIENCE_SECONDS = 60
LEFT_SECONDS = 12
"""A killed worker's intents are its own until its leases expire (15 s)."""
TOXICS: dict[How, tuple[str, ...]] = {
    "cut": (),
    "silent": ("upstream", "downstream"),
    "deaf": ("downstream",),
}


@dataclass
class Faults:
    """Faults on one stack, and a count of them. `settle` waits for what they left running."""

    stack: Stack
    kills: Counter[str] = field(default_factory=Counter)
    partitions: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    """Intents that killed workers had stored and not recorded: the sum over all kills."""
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    """What was away, from when until when (seconds since the epoch)."""
    begun: list[tuple[float, str]] = field(default_factory=list)
    """What was done, and when."""
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def kill(self, name: str) -> None:
        """SIGKILL, as soon as there is such a process; the supervisor starts another."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                pid = await asyncio.to_thread(self.stack.kill, name)
                break
            except (StackError, ProcessLookupError):
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.05)
        self.kills[name] += 1
        self.begun.append((time.time(), f"kill {name}"))
        self._go_on(self._recovered(name, pid, time.time()))

    async def _recovered(self, name: str, pid: int, since: float) -> None:
        if name.startswith("execution-worker"):
            left = await asyncio.to_thread(self._left_by, pid)
            self.in_flight += left  # not in one: three killed at once would add to the same old sum
        await asyncio.to_thread(self.stack.wait_healthy, {name}, PATIENCE_SECONDS)
        if name == "mongo":
            # It was told once how long a transaction may live, and has forgotten it.
            await asyncio.to_thread(mongo.limit_transactions, self.stack.settings)
        self.spans.append((name, since, time.time()))

    def _left_by(self, pid: int) -> int:
        """Contacts in windows that are open and whose shard is still leased by the process `pid`."""
        deadline = time.monotonic() + LEFT_SECONDS
        while True:
            try:
                return self._ask_left_by(pid)
            except PyMongoError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _ask_left_by(self, pid: int) -> int:
        with pymongo.MongoClient[dict[str, Any]](
            mongo.url(self.stack.settings), serverSelectionTimeoutMS=1000, socketTimeoutMS=3000
        ) as client:
            database = client["execution-service"]
            owned = {"state": "leased", "owner": {"$regex": f":{pid}#"}}
            shards = {row["_id"]: row["window"] for row in database["shards"].find(owned)}
            # Only the latest window of a shard can be open.
            latest = [f"{shard}:{window - 1}" for shard, window in shards.items()]
            rows = database["windows"].find({"_id": {"$in": latest}, "state": "intent"}, {"positions": 1})
            return sum(len(msgspec.msgpack.decode(row["positions"])) for row in rows)

    async def part(self, part: str, how: How, seconds: float) -> None:
        """Begin a partition; it ends by itself. One that lasts already is waited for."""
        await asyncio.gather(*(task for task in self._running if task.get_name() == part))
        self.partitions[part] += 1
        self.begun.append((time.time(), f"{part} {how}"))
        await self._toxiproxy(part, how, begin=True)
        self._go_on(self._mended(part, how, seconds, time.time()), part)

    async def _mended(self, part: str, how: How, seconds: float, since: float) -> None:
        try:
            await asyncio.sleep(seconds)
        finally:
            await self._toxiproxy(part, how, begin=False)
            self.spans.append((part, since, time.time()))
            self.begun.append((time.time(), f"{part} mended"))

    async def _toxiproxy(self, part: str, how: How, *, begin: bool) -> None:
        base = f"http://127.0.0.1:{self.stack.settings.toxiproxy_port}/proxies/{part}"
        async with httpx.AsyncClient(timeout=10, trust_env=False) as http:
            if how == "cut":
                (await http.post(base, json={"enabled": not begin})).raise_for_status()
            for stream in TOXICS[how]:
                # A timeout of 0: the connection stays, and what is sent is thrown away.
                toxic = {"name": stream, "type": "timeout", "stream": stream, "attributes": {"timeout": 0}}
                url = f"{base}/toxics"
                answer = await (http.post(url, json=toxic) if begin else http.delete(f"{url}/{stream}"))
                answer.raise_for_status()

    def away(self, names: set[str], begin: float, end: float, *, slack: float) -> bool:
        """Whether one of `names` was away between the two moments, or had been until `slack` before.

        What is still away counts: ask after `settle`.
        """
        return any(
            name in names and since < end and until + slack > begin for name, since, until in self.spans
        )

    def before(self, moment: float) -> str:
        """The last that was done before `moment`, and how long before."""
        done = [(moment - at, what) for at, what in self.begun if at <= moment]
        return f"{done[-1][0]:.1f} s after {done[-1][1]}" if done else "before everything"

    def _go_on(self, work: Any, name: str | None = None) -> None:
        task = asyncio.create_task(work, name=name)
        self._running.add(task)
        task.add_done_callback(lambda done: None if done.exception() else self._running.discard(done))

    async def settle(self) -> None:
        """Wait until everything is back and mended. Raises what went wrong on the way."""
        while self._running:
            task = next(iter(self._running))
            await task
            self._running.discard(task)
