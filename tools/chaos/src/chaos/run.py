"""One execution with a schedule of faults, its progress read all the while, all books compared at the end."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx
from demo.api import Api
from demo.subscriber import Subscriber
from devstack.stack import Stack

from chaos.checker import Books, Pause, problems
from chaos.faults import Faults
from chaos.progress_check import ProgressCheck
from chaos.schedule import Fault, Form

READ_SECONDS = 0.03
STALLED_SECONDS = 120
"""Longer than a lease (15 s) after a dead transaction (20 s) after everything else."""
BOOKS_SECONDS = 90
AWAY = (502, 503, 504)
"""A part that was just killed: asked again, and not counted as an answer."""
WAY_OF_A_PAUSE = {"campaign-api", "campaign-relay", "kafka", "mongo", "execution-planner"}
SLACK_SECONDS = 15
"""A new member of a consumer group, or a new leader, may have to wait for its predecessor's lease so long."""


class World(Protocol):
    """What the tests' world gives: one org on the stack, its bot and its subscriber."""

    stack: Stack
    telegram: httpx.AsyncClient
    subscriber: Subscriber

    async def set_up(self, *, contacts: int, rate: int) -> None: ...
    async def start_campaign(self, **definition: Any) -> tuple[str, str]: ...
    async def telegram_ledger(self) -> list[dict[str, Any]]: ...
    def chat(self, number: int) -> int: ...
    def http(self, role: str | None = "admin", org: str | None = None) -> httpx.AsyncClient: ...
    def api(self, role: str = "admin", org: str | None = None) -> Api: ...


@dataclass
class Run:
    """One run. `go` returns the lines of its report and what is wrong."""

    world: World
    form: Form
    faults: Sequence[Fault]
    campaign_id: str = ""
    check: ProgressCheck = field(default_factory=ProgressCheck)
    refused: int = 0
    """Reads and commands that a part which was away did not answer."""
    pauses: list[Pause] = field(default_factory=list)
    _grown_at: float = field(default_factory=time.monotonic)
    _paused_seen: float = 0
    """When progress last said `paused`."""

    async def go(self) -> tuple[list[str], list[str]]:
        """Set up, run, compare."""
        began = time.monotonic()
        # Telegram's own limit is judged where messages arrive: 5 % of jitter are allowed.
        limits = {"bot_per_second": self.form.rate * 105 // 100, "chat_per_second": 1}
        shares = {"blocked_share": 0.02, "server_error_share": 0.01, "slow_share": 0.005, "slow_seconds": 1.5}
        (await self.world.telegram.patch("/config", json=limits | shares)).raise_for_status()
        await self.world.set_up(contacts=self.form.contacts, rate=self.form.rate)
        self.campaign_id, _ = await self.world.start_campaign()
        self._grown_at = time.monotonic()
        doing = Faults(self.world.stack)
        async with self.world.http() as http:
            reader = asyncio.create_task(self._read(http))
            try:
                for fault in self.faults:
                    await self._until_processed(fault.at, reader)
                    await asyncio.sleep(fault.delay)
                    await self._do(fault, doing, http)
                await self._until(lambda: self._status() == "completed", reader)
            finally:
                with suppress(Exception):
                    await doing.settle()
                reader.cancel()
        await doing.settle()
        await asyncio.to_thread(self.world.stack.wait_healthy)
        books, wrong = await self._compare(doing)
        return self._report(doing, books, time.monotonic() - began), [*self.check.problems[:5], *wrong]

    # -- reading --------------------------------------------------------------------------------------

    async def _read(self, http: httpx.AsyncClient) -> None:
        """Ask for the progress, again and again."""
        path = f"/campaigns/{self.campaign_id}/progress"
        while True:
            data = await self._ask(http, "GET", path, young=self.check.last is None)
            if data is not None:
                before = self._processed()
                self.check.feed(data)
                if self._status() == "paused":
                    self._paused_seen = time.time()
                if self._processed() > before or self._status() == "paused":
                    self._grown_at = time.monotonic()
            await asyncio.sleep(READ_SECONDS)

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, *, young: bool = False) -> Any:
        """`data`; None when a part is away. `young`: the campaign may not be known there yet (404)."""
        try:
            answer = await http.request(method, path)
        except httpx.TransportError:
            self.refused += 1
            return None
        if answer.status_code in AWAY or (young and answer.status_code == 404):
            self.refused += 1
            return None
        if answer.status_code != 200:
            self.check.problems.append(f"{method} {path} answered {answer.status_code}: {answer.text[:300]}")
            return None
        return answer.json()["data"]

    def _processed(self) -> int:
        return self.check.last["progress"]["processed"] if self.check.last else -1

    def _status(self) -> str:
        return self.check.last["status"] if self.check.last else "unknown yet"

    async def _until_processed(self, count: int, reader: "asyncio.Task[None]") -> None:
        await self._until(lambda: self._processed() >= count, reader)

    async def _until(self, so: Callable[[], bool], reader: "asyncio.Task[None]") -> None:
        while not so():
            if reader.done():
                reader.result()
            if time.monotonic() - self._grown_at > STALLED_SECONDS:
                raise AssertionError(f"stalled for {STALLED_SECONDS} s: {self.check.last}")
            await asyncio.sleep(READ_SECONDS / 2)

    # -- faults ---------------------------------------------------------------------------------------

    async def _do(self, fault: Fault, doing: Faults, http: httpx.AsyncClient) -> None:
        if fault.kind == "pause":
            await self._pause(fault, doing, http)
            return
        if fault.how is not None:
            await doing.part(fault.part, fault.how, fault.seconds)
            await asyncio.sleep(fault.later)
        await asyncio.gather(*(doing.kill(name) for name in fault.kill))

    async def _pause(self, fault: Fault, doing: Faults, http: httpx.AsyncClient) -> None:
        """Pause, kill somebody meanwhile, resume."""
        await self._command(http, "pause", "paused")
        answered = time.time()
        killing = [asyncio.create_task(self._later(fault.later, doing, name)) for name in fault.kill]
        shown = None
        while (now := time.time()) < answered + fault.seconds:
            if shown is None and self._paused_seen > answered:
                shown = self._paused_seen
            await asyncio.sleep(min(READ_SECONDS, answered + fault.seconds - now))
        await asyncio.gather(*killing)
        resumed = time.time()
        await self._command(http, "resume", "active")
        self.pauses.append(Pause(answered, shown, resumed, disturbed=False))

    async def _later(self, seconds: float, doing: Faults, name: str) -> None:
        await asyncio.sleep(seconds)
        await doing.kill(name)

    async def _command(self, http: httpx.AsyncClient, verb: str, status: str) -> None:
        """Until it is done, whoever is away; an answer that was lost is noticed by the status."""
        while True:
            found = await self._ask(http, "GET", f"/campaigns/{self.campaign_id}")
            if found is not None and found["status"] == status:
                return
            if found is not None:
                await self._ask(http, "POST", f"/campaigns/{self.campaign_id}/{verb}")
            await asyncio.sleep(READ_SECONDS)

    # -- the end --------------------------------------------------------------------------------------

    async def _compare(self, doing: Faults) -> tuple[Books, list[str]]:
        """The books, once they agree; what does not after some time. Events and statistics may be late."""
        self.pauses = [
            Pause(
                pause.answered, pause.shown, pause.resumed,
                disturbed=doing.away(WAY_OF_A_PAUSE, pause.answered, pause.resumed, slack=SLACK_SECONDS),
            )
            for pause in self.pauses
        ]  # fmt: skip
        deadline = time.monotonic() + BOOKS_SECONDS
        while True:
            books = await self._books(doing)
            wrong = problems(books)
            if not wrong or time.monotonic() > deadline:
                return books, wrong
            await asyncio.sleep(1)

    async def _books(self, doing: Faults) -> Books:
        api, path = self.world.api(), f"/campaigns/{self.campaign_id}"
        progress = await api.call("GET", f"{path}/progress")
        statistics = await api.call("GET", f"{path}/statistics")
        campaign = await api.call("GET", path)
        recipients = await api.every(f"{path}/recipients", "recipients", limit=1000)
        await api.close()
        events = [
            e for e in self.world.subscriber.verified if e["data"].get("campaignId") == self.campaign_id
        ]
        return Books(
            chats={f"c{number:05d}": self.world.chat(number) for number in range(self.form.contacts)},
            entries=await self.world.telegram_ledger(),
            recipients=recipients,
            progress=progress["progress"],
            overview=statistics["overview"],
            campaign=campaign,
            events=[e for e in events if e["type"].startswith("campaign.")],
            pauses=self.pauses,
            unknown_at_most=doing.in_flight,
        )

    def _report(self, doing: Faults, books: Books, seconds: float) -> list[str]:
        outcomes = _count(books.entries, "outcome")
        late = [
            f"{pause.latest_send(books.entries):.2f}{'*' if pause.disturbed else ''}" for pause in self.pauses
        ]
        return [
            f"{seconds:.0f} s; {doing.kills.total()} kills: {dict(doing.kills)}",
            f"{len(self.pauses)} pauses, {doing.partitions.total()} partitions: {dict(doing.partitions)}",
            f"last send after each pause, s (*: its way was disturbed): {', '.join(late)}",
            f"{self.check.reads} progress reads agree, {self.refused} questions met a part that was away",
            f"unknown {books.progress['unknown']} of {doing.in_flight} in flight at the kills",
            f"the simulator saw {outcomes}",
            *_refusals(doing, books.entries),
        ]


def _refusals(doing: Faults, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """When Telegram refused for the rate, each second once."""
    times = [entry["at"] for entry in entries if entry["outcome"] == "rate_limited"]
    first = [at for at, before in zip(times, [0.0, *times], strict=False) if at - before > 1]
    return [f"rate limited {doing.before(at)}" for at in first]


def _count(rows: Sequence[Mapping[str, Any]], key: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row[key]] = counts.get(row[key], 0) + 1
    return counts
