"""How long a runner may rely on what it has seen of its execution."""

import asyncio
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from execution_service.application.ports_engine import Executions
from execution_service.application.watch_execution import ExecutionWatch
from execution_service.domain.execution import Execution, Standing
from service_kit.testing.fakes import FixedClock

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SNAPSHOT = ExecutionSnapshot(
    messages=[FrozenMessage(id="m", content="x")], audience=AudienceDefinition(),
    options=ExecutionOptions(), sampling_seed="s",
)  # fmt: skip
RUNNING = Execution("exec_1", "acme", "camp_1", "running", SNAPSHOT, NOW)


class Row:
    """One execution, as stored."""

    def __init__(self) -> None:
        self.now: Execution | None = RUNNING
        self.looks = 0
        self.seconds = 0.0

    async def standing(self, execution_id: str) -> Standing | None:
        self.looks += 1
        found = self.now
        await asyncio.sleep(self.seconds)
        return found and Standing(found.execution_id, found.status, found.life, found.end_date, found.org)

    async def get(self, execution_id: str) -> Execution | None:
        return self.now


def watch(row: Row, trust_seconds: float = 1) -> ExecutionWatch:
    executions = cast(Executions, cast(Any, row))
    return ExecutionWatch(executions, RUNNING, clock=FixedClock(NOW), trust_seconds=trust_seconds)


async def test_nothing_is_sent_before_the_first_look_nor_after_a_pause_was_seen() -> None:
    row = Row()
    seen = watch(row)
    assert seen.sends_until(RUNNING) == -math.inf
    await seen.look()
    assert seen.underway
    row.now = replace(RUNNING, status="paused")
    await seen.look()
    assert not seen.underway
    assert seen.sends_until(RUNNING) == -math.inf
    row.now = None
    await seen.look()
    assert not seen.underway


async def test_a_look_counts_from_when_it_began_however_long_it_took() -> None:
    row, loop = Row(), asyncio.get_running_loop()
    row.seconds = 0.05
    began = loop.time()
    seen = watch(row)
    await seen.look()
    assert began + 1 <= seen.sends_until(RUNNING) < loop.time() + 1


async def test_a_fresh_look_is_not_repeated_and_a_stale_one_is() -> None:
    row = Row()
    seen = watch(row)
    await seen.refresh()
    await seen.refresh()
    assert row.looks == 1
    stale = watch(row, trust_seconds=0)
    await stale.refresh()
    await stale.refresh()
    assert row.looks == 3


async def test_nothing_is_sent_after_the_campaigns_end() -> None:
    row, loop = Row(), asyncio.get_running_loop()
    row.now = replace(RUNNING, end_date=NOW + timedelta(seconds=0.2))
    seen = watch(row)
    await seen.look()
    assert not seen.ended
    assert seen.sends_until(RUNNING) <= loop.time() + 0.2
    row.now = replace(RUNNING, end_date=NOW)
    await seen.look()
    assert seen.ended
    assert seen.sends_until(RUNNING) <= loop.time()


async def test_what_was_made_for_an_earlier_life_is_not_sent() -> None:
    row = Row()
    row.now = mended = replace(RUNNING, life=2)
    seen = watch(row)
    await seen.look()
    assert seen.execution is mended
    assert seen.sends_until(RUNNING) == -math.inf
    assert seen.sends_until(mended) > 0
