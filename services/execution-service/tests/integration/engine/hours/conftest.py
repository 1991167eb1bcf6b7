"""The engine's own parts on a real database, days of it in seconds: time is simulated, Telegram and the
limiter are stood in for."""

import asyncio
import math
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from contracts.events.settings import QuietHours
from execution_service.application.ports_sending import Grant, Rendered, Sharer, Slot
from execution_service.application.rouse_shards import RouseShards
from execution_service.bootstrap_worker import Worker, WorkerWiring
from execution_service.domain.contact import Contact
from execution_service.domain.org_settings import OrgSettings
from execution_service.domain.outcomes import Delivered, NotConnected, SendResult, ServerFailed
from execution_service.settings_engine import WorkerSettings
from service_kit.testing.simulated_time import SimulatedClock, simulate

LOOK_SECONDS = 900
VIP = 11
"""Every so many contacts one is in the segment `vip`."""


@dataclass
class Telegram:
    """Takes every message after a while, but for the first one to some chats."""

    clock: SimulatedClock
    attempts: list[tuple[datetime, int, str]] = field(default_factory=list)
    taken: list[tuple[datetime, int, str]] = field(default_factory=list)
    failing: dict[int, SendResult] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(6))

    async def send(self, token: str, chat_id: int, rendered: Rendered, *, paid: bool) -> SendResult:
        self.attempts.append((self.clock.now(), chat_id, rendered.text))
        attempt = self.attempts[-1]
        await asyncio.sleep(self.dice.uniform(0.05, 2))
        failure = self.failing.pop(chat_id, None)
        if failure is not None:
            return failure
        self.taken.append(attempt)
        return Delivered(len(self.taken))

    async def close(self) -> None:
        return

    def received(self) -> Counter[tuple[int, str]]:
        """How often each chat got each text."""
        return Counter((chat_id, text) for _, chat_id, text in self.taken)


class Pace:
    """The port `Limiter`: one slot every so many seconds, however many are there."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked = 0
        self._next = 0.0

    async def reserve(self, sharer: Sharer, chats: Sequence[int], *, missed: Sequence[Slot] = ()) -> Grant:
        self.asked += 1
        begin = max(self._next, asyncio.get_running_loop().time())
        if begin - asyncio.get_running_loop().time() > 1:
            return Grant((), begin - asyncio.get_running_loop().time())
        self._next = begin + len(chats) * self.seconds
        ats = [begin + self.seconds * place for place in range(len(chats))]
        return Grant([Slot(at, math.inf, at) for at in ats])

    async def block(self, telegram_id: int, seconds: float) -> None:
        return


@dataclass
class Days:
    """A stretch of simulated time with an engine in it."""

    engine: Any
    telegram: Telegram
    limiter: Pace

    @property
    def clock(self) -> SimulatedClock:
        found: SimulatedClock = self.engine.wiring.clock
        return found

    @property
    def wiring(self) -> WorkerWiring:
        found: WorkerWiring = self.engine.wiring
        return found

    async def people(self, zones: Sequence[str | None], *, first: int = 1) -> dict[int, str | None]:
        """A contact for each of `zones`, in `seg`, and some in `vip` too; chat → zone. Some of them need a
        second attempt."""
        now = self.clock.now()
        people = [
            Contact(
                "acme",
                f"con_{chat:06d}",
                chat,
                now,
                now,
                first_name="A",
                segments=("seg",) if chat % VIP else ("seg", "vip"),
                timezone=zone,
            )
            for chat, zone in enumerate(zones, first)
        ]
        for begin in range(0, len(people), 1_000):
            part = people[begin : begin + 1_000]
            await self.wiring.transactions.run(lambda tx, part=part: self.wiring.contacts.insert(tx, part))
        failures: list[SendResult] = [ServerFailed(), NotConnected()]
        self.telegram.failing = {chat: failures[chat % 2] for chat in range(7, len(zones), 31)}
        return dict(enumerate(zones, first))

    async def put_settings(self, **values: Any) -> None:
        """Let the organisation have these settings, and no others."""
        store = self.wiring.org_settings
        version = (await store.of("acme")).version + 1
        after = OrgSettings("acme", **values, updated_at=self.clock.now(), version=version)
        await self.wiring.transactions.run(lambda tx: store.put(tx, after))

    def started(self, hours: tuple[str, str] | None = None, **options: Any) -> Any:
        """`campaign.started` with quiet hours of its own, or the organisation's."""
        event = self.engine.started(**options)
        quiet = hours and QuietHours(from_=hours[0], to=hours[1])
        snapshot = event.data.snapshot.model_copy(update={"quiet_hours": quiet})
        return event.model_copy(update={"data": event.data.model_copy(update={"snapshot": snapshot})})

    @asynccontextmanager
    async def working(self, workers: int = 1) -> AsyncIterator[None]:
        """Workers, and the planner's sweeps."""
        made = [self.worker(f"worker{number}") for number in range(workers)]
        tasks = [asyncio.create_task(worker.run()) for worker in made]
        tasks.append(asyncio.create_task(self._sweeps()))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for worker in made:
                await worker.close()

    def worker(self, name: str) -> Worker:
        """A worker process's runners."""
        worker = Worker(self.wiring, owner=name)
        turn = worker.run_shard.turn
        turn.limiter = turn.send.limiter = self.limiter
        turn.send.api = self.telegram
        return worker

    async def _sweeps(self) -> None:
        wiring = self.wiring
        rouse = RouseShards(
            executions=wiring.executions,
            shards=wiring.shards,
            settings=wiring.recent_settings,
            clock=wiring.clock,
        )
        while True:
            await wiring.finish.sweep()
            await rouse.sweep()
            await asyncio.sleep(LOOK_SECONDS)

    async def until(
        self, check: Callable[[], Awaitable[bool]], *, hours: float, every: float = LOOK_SECONDS
    ) -> None:
        """Look every so many seconds, for so long at most."""
        loop = asyncio.get_running_loop()
        end = loop.time() + hours * 3600
        while not await check():
            assert loop.time() < end, f"not so within {hours} h"
            await asyncio.sleep(every)

    async def completed(self, execution_id: str, *, hours: float, every: float = LOOK_SECONDS) -> None:
        """Wait for the execution's end."""

        async def ended() -> bool:
            found = await self.wiring.executions.get(execution_id)
            return found is not None and found.status == "completed"

        await self.until(ended, hours=hours, every=every)


Scenario = Callable[[Days], Awaitable[None]]


@pytest.fixture
def live(new_engine: Any, engine_settings: WorkerSettings) -> Callable[..., None]:
    """Runs a scenario from a date on; `seconds` is the time between two slots, the rest are settings.

    Leases and looks last for hours: time flies, and what they are good for is tested elsewhere.
    """

    async def run(scenario: Scenario, start: datetime, seconds: float, changes: dict[str, Any]) -> None:
        settings = engine_settings.model_copy(update=changes)
        wiring = WorkerWiring(settings, service=f"test_{secrets.token_hex(6)}", clock=SimulatedClock(start))
        try:
            await wiring.prepare_engine()
            engine = new_engine(wiring, None)
            engine.bot = await engine.new_bot(default=True)
            await scenario(Days(engine, Telegram(engine.wiring.clock), Pace(seconds)))
        finally:
            with suppress(Exception):
                await wiring.client.drop_database(wiring.database.name)
            await wiring.close()

    def start_it(scenario: Scenario, *, start: datetime, seconds: float = 0.001, **changes: Any) -> None:
        patient = {
            "shard_lease_seconds": 7200,
            "shard_slice_seconds": 600,
            "shard_patience_seconds": 1800,
            "pause_seconds": 3600,
            "idle_seconds": 300,
            "turn_seconds": 300,
            "worker_runners": 2,
        }
        simulate(run(scenario, start, seconds, patient | changes))

    return start_it
