"""What happens to those who wait for their hours, and what they cost meanwhile."""

import asyncio
import os
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from contracts.events.campaign import (
    CampaignCancelled,
    CampaignPaused,
    CampaignResumed,
    Retry,
)
from execution_service.bootstrap_engine import make_planner
from execution_service.bootstrap_progress import progress_parts
from execution_service.domain.contact import Contact
from execution_service.domain.holding import Held
from execution_service.domain.org_settings import QuietHours
from execution_service.domain.outcomes import Rejected
from pymongo import monitoring

pytestmark = pytest.mark.integration
Live = Callable[..., None]
EVENING = datetime(2026, 6, 1, 20, 55, 30, tzinfo=UTC)
NIGHT = ("21:00", "08:00")
MANY, SECONDS = (100_000, 60) if os.environ.get("WHOLE_NIGHTS") else (5_000, 20)


async def planned(days: Any, event: Any) -> str:
    execution_id: str = await days.engine.accept(event)
    assert await make_planner(days.wiring).run_once("planner")
    return execution_id


async def counts(days: Any, execution_id: str) -> dict[str, int]:
    sums = await days.wiring.shards.sums(execution_id)
    return {**sums.counts, **sums.errors}


async def shards(days: Any, execution_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = await (
        days.engine.database["shards"].find({"executionId": execution_id}).sort("no", 1).to_list(None)
    )
    return found


def test_a_window_is_cut_off_when_quiet_hours_begin_and_goes_on_when_they_end(live: Live) -> None:
    """A slot every minute, the first four and a half before nine in the evening."""

    async def scenario(days: Any) -> None:
        await days.people([None] * 12)
        execution_id = await planned(days, days.started(NIGHT))
        async with days.working():
            await asyncio.sleep(3600)
            show = progress_parts(days.wiring).show
            seen = await show.progress(
                "acme", (await days.engine.execution(execution_id)).campaign_id, None, deleted_too=False
            )
            await days.completed(execution_id, hours=14)
        ats = [at for at, _, _ in days.telegram.attempts]
        before = [at for at in ats if at < datetime(2026, 6, 1, 21, tzinfo=UTC)]
        assert len(before) == 5
        morning = datetime(2026, 6, 2, 8, tzinfo=UTC)
        assert morning <= min(at for at in ats if at not in before) < morning + timedelta(minutes=6)
        assert set(days.telegram.received().values()) == {1}
        assert await counts(days, execution_id) == {"successful": 12}
        assert seen.waiting.count == 12 - seen.sums.processed and seen.waiting.until == morning
        assert seen.estimated_completion > morning

    live(scenario, start=EVENING, seconds=60, window_size=12)


def test_the_night_is_planned_as_shards_of_one_clock_that_nobody_looks_at_before(live: Live) -> None:
    """At 20:55 UTC it is evening in Berlin (CEST) and Johannesburg, 02:25 in Kolkata, noon in Los Angeles."""
    zones = ["Europe/Berlin", "Africa/Johannesburg", "Asia/Kolkata", "America/Los_Angeles", None] * 30

    async def scenario(days: Any) -> None:
        await days.people(zones)
        execution_id = await planned(days, days.started(NIGHT))
        rows = await shards(days, execution_id)
        clocks = Counter[tuple[str, int]]()
        for row in rows:
            held = row["held"]
            assert row["dueAt"] == (held["until"] if held else days.clock.now())
            clocks[f"{row['dueAt']:%d %H:%M}", bool(held)] += row["size"]
        assert clocks == {
            ("02 06:00", True): 60,  # Berlin and Johannesburg together
            ("02 02:30", True): 30,
            ("01 20:55", False): 60,  # Los Angeles; UTC, whose evening has four minutes left
        }
        async with days.working():
            await days.completed(execution_id, hours=14)
        rows = await shards(days, execution_id)
        # Nobody had them before their time; then once, and again where a slice or the evening ended.
        assert all(row["epoch"] <= 4 for row in rows), [row["epoch"] for row in rows]
        assert await counts(days, execution_id) == {"successful": 150}

    live(scenario, start=EVENING, seconds=0.5)


def test_who_lost_a_shard_does_not_put_it_to_sleep_and_who_dies_is_followed(live: Live) -> None:
    async def scenario(days: Any) -> None:
        await days.people([None] * 4)
        execution_id = await planned(days, days.started(("21:30", "08:00")))
        port, loop = days.wiring.shards, asyncio.get_running_loop()

        async def lease(owner: str) -> Any:
            now = days.clock.now()
            return await port.lease(owner, now=now, seconds=60, deadline=loop.time() + 60)

        lost = await lease("lost")
        await asyncio.sleep(61)
        dying = await lease("dying")
        assert (lost.shard_id, dying.epoch) == (dying.shard_id, 2)
        await port.hold(lost, Held(4, days.clock.now() + timedelta(hours=9), 1))
        (row,) = await shards(days, execution_id)
        assert (row["owner"], row["state"], row["held"]) == ("dying", "leased", None)
        await asyncio.sleep(61)
        async with days.working():
            await days.completed(execution_id, hours=1)
        assert days.telegram.received() == {(chat, "0: Hi A"): 1 for chat in range(1, 5)}

    live(scenario, start=EVENING)


def test_who_waits_can_be_paused_ended_cancelled_and_retried(live: Live) -> None:
    async def scenario(days: Any) -> None:
        engine = days.engine
        await days.people([None] * 20)
        end = datetime(2026, 6, 1, 23, 30, tzinfo=UTC)
        night = {"hours": ("20:00", "08:00")}
        pausing, cancelling = days.started(**night), days.started(**night)
        ends_at = await planned(days, days.started(**night, end_date=end))
        paused, cancelled = await planned(days, pausing), await planned(days, cancelling)
        async with days.working():
            await engine.steer(CampaignPaused, pausing, status="paused")
            await engine.steer(CampaignCancelled, cancelling, status="cancelled")
            await days.completed(ends_at, hours=4)
            # At the end, not in the morning.
            assert end <= days.clock.now() < end + timedelta(minutes=31)
            assert await counts(days, ends_at) == {"skipped": 20, "CAMPAIGN_ENDED": 20}
            await asyncio.sleep(10 * 3600)
            assert days.telegram.attempts == [] and days.clock.now().hour == 9
            days.telegram.failing = dict.fromkeys(range(1, 6), Rejected("USER_BLOCKED"))
            await engine.steer(CampaignResumed, pausing)
            await days.completed(paused, hours=1)
            assert await counts(days, paused) == {"successful": 15, "failed": 5, "USER_BLOCKED": 5}
            retry = Retry(of=paused, statuses=["failed"])
            again = days.started(("09:00", "12:00"), campaign_id=pausing.data.campaign_id, retry=retry)
            retried = await planned(days, again)
            assert [row["held"]["count"] for row in await shards(days, retried)] == [5]
            await days.completed(retried, hours=5)
        assert await counts(days, retried) == {"successful": 5}
        assert min(at for at, _, _ in days.telegram.attempts[-5:]).hour == 12
        assert {row["state"] for row in await shards(days, cancelled)} <= {"pending", "parked"}
        assert set(days.telegram.received().values()) == {1}

    live(scenario, start=EVENING)


def test_changed_rules_and_people_are_noticed_by_those_who_wait(live: Live) -> None:
    """A shorter night is noticed at the next sweep; who moved lives by the new clock when the turn comes."""

    async def scenario(days: Any) -> None:
        await days.put_settings(quiet_hours=QuietHours(time(20), time(8)), timezone="Europe/London")
        zones = await days.people([None] * 8 + ["Asia/Tokyo"] * 8)
        execution_id = await planned(days, days.started())
        async with days.working():
            await asyncio.sleep(3600)
            assert await counts(days, execution_id) == {}
            now = days.clock.now()
            moved = [
                Contact("acme", f"con_{chat:06d}", chat, now, now, first_name="A", segments=("seg",), timezone="America/Los_Angeles", ordinal=chat)
                for chat in (8, 16)
            ]  # fmt: skip
            await days.wiring.transactions.run(lambda tx: days.wiring.contacts.replace(tx, moved))
            await days.put_settings(quiet_hours=QuietHours(time(20), time(23, 30)), timezone="Europe/London")
            await days.completed(execution_id, hours=24)
        told = {chat: at for at, chat, _ in days.telegram.taken}
        first = {
            zone: min(told[chat] for chat in zones if zones[chat] == zone and chat % 8)
            for zone in zones.values()
        }
        london, tokyo = datetime(2026, 6, 1, 22, 30, tzinfo=UTC), now
        assert london <= first[None] < london + timedelta(minutes=21)
        assert tokyo <= first["Asia/Tokyo"] < tokyo + timedelta(minutes=21)
        # In Los Angeles it was the afternoon.
        assert max(told[8], told[16]) < london + timedelta(minutes=30)
        assert set(days.telegram.received().values()) == {1} and len(told) == 16

    live(scenario, start=EVENING)


def test_a_hundred_thousand_who_wait_cost_nothing_until_their_hour(live: Live) -> None:
    """A worker as it is in production, eight runners and all, looks for work for a while: with nothing to do
    at all, and with many who wait. (5,000 in `make test`.)"""
    commands = Commands()
    monitoring.register(commands)
    morning = datetime(2026, 6, 2, 8, tzinfo=UTC)

    async def idle(days: Any) -> Counter[str]:
        worker = days.worker("worker")
        task = asyncio.create_task(worker.run())
        commands.counted = Counter()
        await asyncio.sleep(SECONDS)
        counted, commands.counted = commands.counted, None
        task.cancel()
        await asyncio.wait({task})
        await worker.close()
        return counted

    async def scenario(days: Any) -> None:
        nothing = await idle(days)
        await days.people([None] * MANY)
        execution_id = await planned(days, days.started(NIGHT))
        days.telegram.failing = {}
        waiting = await idle(days)
        more = waiting - nothing
        # Each runner asks once and learns that nothing is due soon; then one of them asks every five seconds.
        assert more.total() <= 2 * (8 + SECONDS / 5), (nothing, waiting)
        assert set(more) <= {"find", "findAndModify"}
        rows = await shards(days, execution_id)
        assert {(row["state"], row["owner"], row["epoch"], row["dueAt"]) for row in rows} == {
            ("pending", None, 0, morning)
        }
        assert days.limiter.asked == 0 and days.telegram.attempts == []
        sums = await days.wiring.shards.sums(execution_id)
        assert sums.held == {morning: MANY} and sums.pending == {None: MANY}
        await asyncio.sleep((morning - days.clock.now()).total_seconds() - 10)
        async with days.working():
            await days.completed(execution_id, hours=1, every=1)
        assert min(at for at, _, _ in days.telegram.attempts) >= morning
        assert len(days.telegram.received()) == MANY == len(days.telegram.attempts)

    live(
        scenario, start=EVENING + timedelta(hours=1), seconds=0.001, shard_size=2_000, window_size=500,
        shard_lease_seconds=15, shard_slice_seconds=10, shard_patience_seconds=1, pause_seconds=1,
        idle_seconds=0.2, turn_seconds=0.5, worker_runners=8,
    )  # fmt: skip


class Commands(monitoring.CommandListener):
    """Counts the database's commands by name while it is told to."""

    counted: Counter[str] | None = None

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if self.counted is not None:
            self.counted[event.command_name] += 1

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        return

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        return
