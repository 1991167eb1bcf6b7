"""Clicks are stored in batches; nobody waits long for it, and what is lost is counted."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from contracts.envelope import AnyEvent, new_event
from contracts.events.engagement import EngagementClicked
from service_kit.ports import Tx
from service_kit.testing.fakes import InMemoryOutbox, InMemoryTransactions
from service_kit.testing.waiting import eventually
from stats_service.application.keep_clicks import KeepClicks

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def click(number: int = 0) -> AnyEvent:
    data = EngagementClicked(
        campaign_id="camp_1", execution_id="exec_1", message_id="m", contact_id=f"c{number}", button=0,
        url="https://a.example", clicked_at=NOW,
    )  # fmt: skip
    return new_event(data, source="s", subject="camp_1", org="acme", time=NOW)


class Database(InMemoryTransactions):
    """Transactions that fail, or hang, while the database is away."""

    def __init__(self) -> None:
        self.away = False
        self.hangs = False
        self.transactions = 0

    async def run(self, work: Callable[[Tx], Awaitable[Any]]) -> Any:
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise OSError
        self.transactions += 1
        return await super().run(work)


class Bench:
    """KeepClicks on fakes."""

    def __init__(self, *, waiting: int = 100, patience: float = 5.0) -> None:
        self.database, self.outbox, self.told = Database(), InMemoryOutbox(), Counter[str]()
        self.clicks = KeepClicks(
            transactions=self.database, outbox=self.outbox, waiting=waiting, patience_seconds=patience,
            retry_seconds=0.01, told=lambda result, count: self.told.update({result: count}),
        )  # fmt: skip

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.clicks.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    @property
    def stored(self) -> list[str]:
        return [event.data.contact_id for event in self.outbox.events]


async def test_who_clicks_goes_on_once_the_click_is_stored_and_clicks_together_are_one_transaction() -> None:
    bench = Bench()
    waiting = [asyncio.create_task(bench.clicks.note(click(number))) for number in range(50)]
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)
    async with bench.running():
        await asyncio.gather(*waiting)
        assert bench.stored == [f"c{number}" for number in range(50)]
        assert bench.database.transactions == 1
        await bench.clicks.note(click(50))
    assert (len(bench.stored), bench.told) == (51, {"stored": 51})


async def test_while_the_database_is_away_nobody_is_held_up_and_the_clicks_are_stored_when_it_is_back() -> (
    None
):
    bench = Bench(patience=0.01)
    bench.database.away = True
    async with bench.running():
        await asyncio.gather(*(bench.clicks.note(click(number)) for number in range(3)))
        await bench.clicks.note(click(3))
        assert bench.stored == []
        bench.database.away = False

        async def stored() -> list[str]:
            return bench.stored

        assert await eventually(stored, lambda seen: len(seen) == 4) == ["c0", "c1", "c2", "c3"]
    assert bench.told == {"stored": 4}


async def test_more_than_may_wait_is_lost_and_counted() -> None:
    bench = Bench(waiting=2, patience=0.01)
    await asyncio.gather(*(bench.clicks.note(click(number)) for number in range(5)))
    assert bench.told == {"lost": 3}
    async with bench.running():

        async def stored() -> list[str]:
            return bench.stored

        assert await eventually(stored, lambda seen: len(seen) == 2) == ["c0", "c1"]
    assert bench.told == {"stored": 2, "lost": 3}


async def test_a_process_that_is_told_to_end_stores_what_waits() -> None:
    bench = Bench(patience=0.01)
    bench.database.away = True
    async with bench.running():
        await asyncio.gather(*(bench.clicks.note(click(number)) for number in range(3)))
        bench.database.away = False
    assert (bench.stored, bench.told) == (["c0", "c1", "c2"], {"stored": 3})


async def test_what_waits_at_the_end_without_a_database_is_counted_as_lost(monkeypatch: Any) -> None:
    monkeypatch.setattr("stats_service.application.keep_clicks.LAST_TRY_SECONDS", 0.01)
    bench = Bench(patience=0.01)
    bench.database.hangs = True
    async with bench.running():
        await asyncio.gather(*(bench.clicks.note(click(number)) for number in range(3)))
    assert (bench.stored, bench.told) == ([], {"lost": 3})


async def test_a_click_that_comes_while_the_process_ends_is_stored_at_once_or_counted_as_lost() -> None:
    bench = Bench(patience=0.01)
    async with bench.running():
        await bench.clicks.note(click(0))
    await bench.clicks.note(click(1))
    bench.database.away = True
    await bench.clicks.note(click(2))
    assert (bench.stored, bench.told) == (["c0", "c1"], {"stored": 2, "lost": 1})
