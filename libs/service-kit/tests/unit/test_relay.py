"""The relay on fakes: any death at any step, any interleaving of relays, what Kafka refuses."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from aiokafka.errors import KafkaConnectionError
from prometheus_client import REGISTRY
from service_kit.outbox.relay import Relay
from service_kit.outbox.waiting_rows import Row
from service_kit.testing.fakes import FixedClock
from service_kit.testing.relay_fakes import (
    Died,
    FakeKafka,
    FaultyStep,
    InMemoryLease,
    InMemoryWaitingRows,
    Stepwise,
    StepwisePublisher,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
T = TypeVar("T")


def row(number: int, key: str, sequence: int, *, topic: str = "t") -> Row:
    return Row(f"{number:04d}", key, sequence, topic, "campaign.updated", f"{key}/{sequence}".encode(), NOW)


async def at_once(_: str, call: Callable[[], Awaitable[T]]) -> T:
    return await call()


def relay_on(
    rows: InMemoryWaitingRows, log: FakeKafka, *, step: Any = at_once, batch: int = 4, lease: Any = None
) -> Relay:
    return Relay(
        Stepwise(rows, step), publisher=StepwisePublisher(log, step), clock=FixedClock(NOW),
        lease=Stepwise(lease or InMemoryLease(), step), batch=batch, poll_seconds=0, retry_seconds=0,
    )  # fmt: skip


async def until_empty(relay: Relay, rows: InMemoryWaitingRows) -> None:
    """Run until nothing waits that may be published."""
    for _ in range(200):
        await relay.turn()
        if all(item.key in rows.closed for item in rows.rows.values()):
            return
    raise AssertionError(f"still there: {sorted(rows.rows)}")


def some_rows() -> list[Row]:
    """Three campaigns interleaved; the ids of one are not in the order of its versions (a clock was ahead)."""
    return [
        row(1, "a", 1), row(2, "b", 2), row(3, "a", 2), row(4, "c", 1), row(5, "b", 1), row(6, "a", 3),
        row(7, "c", 2), row(8, "b", 3), row(9, "a", 4),
    ]  # fmt: skip


COMPLETE = {"a": [1, 2, 3, 4], "b": [1, 2, 3], "c": [1, 2]}


def with_a_refused_one() -> tuple[InMemoryWaitingRows, FakeKafka]:
    rows, log = InMemoryWaitingRows(), FakeKafka()
    rows.put(*some_rows(), row(20, "refused", 1), row(21, "refused", 2))
    log.refused = {b"refused/1"}
    return rows, log


async def points_of_a_whole_run() -> list[tuple[str, str, int]]:
    (rows, log), step = with_a_refused_one(), FaultyStep()
    await until_empty(relay_on(rows, log, step=step), rows)
    assert log.firsts() == COMPLETE
    assert len(log.values) == 9
    assert set(step.calls) == {"acquire", "backlog", "page", "publish", "remove", "close_key"}
    return step.points()


async def test_a_death_before_or_after_any_step_loses_nothing_and_keeps_the_order_of_every_key():
    points = await points_of_a_whole_run()
    assert len(points) >= 36
    for point in points:
        rows, log = with_a_refused_one()
        with pytest.raises(Died):
            await until_empty(relay_on(rows, log, step=FaultyStep(point)), rows)
        rows.put(row(10, "a", 5))  # and life went on while the relay was dead
        await until_empty(relay_on(rows, log), rows)
        assert log.firsts() == COMPLETE | {"a": [1, 2, 3, 4, 5]}, point
        assert set(rows.closed) == {"refused"}


class Scheduler:
    """Lets one waiting step go on at a time, chosen by a seed: processes that pause anywhere."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._waiting: list[asyncio.Future[None]] = []

    async def step(self, _: str, call: Callable[[], Awaitable[T]]) -> T:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(gate)
        await gate
        return await call()

    async def run(self, tasks: list[asyncio.Task[None]]) -> None:
        while not all(task.done() for task in tasks):
            await asyncio.sleep(0)
            if self._waiting:
                # One of the relays sleeps much longer than the others now and then.
                pick = 0 if self._random.random() < 0.7 else self._random.randrange(len(self._waiting))
                self._waiting.pop(pick).set_result(None)


@pytest.mark.parametrize("seed", range(60))
async def test_relays_that_all_think_they_lead_repeat_rows_and_never_reorder_a_key(seed: int):
    scheduler, rows, log = Scheduler(seed), InMemoryWaitingRows(), FakeKafka()
    rows.put(*some_rows())

    async def life() -> None:
        await until_empty(relay_on(rows, log, step=scheduler.step, batch=3), rows)

    async def writer() -> None:
        for number in range(5, 9):
            await scheduler.step("write", lambda n=number: put(n))

    async def put(number: int) -> None:
        rows.put(row(number + 10, "a", number))

    tasks = [asyncio.create_task(life()) for _ in range(3)] + [asyncio.create_task(writer())]
    await scheduler.run(tasks)
    await asyncio.gather(*tasks)
    await until_empty(relay_on(rows, log), rows)
    assert log.firsts() == COMPLETE | {"a": [1, 2, 3, 4, 5, 6, 7, 8]}


async def test_who_lost_the_lease_while_paused_sends_nothing_more():
    rows, log, lease = InMemoryWaitingRows(), FakeKafka(), InMemoryLease(seconds=0.03)
    rows.put(*some_rows())

    async def slow(name: str, call: Callable[[], Awaitable[T]]) -> T:
        answer = await call()
        if name == "publish" and len(log.values) == 2:
            lease.epoch += 1  # somebody had it in between
            await asyncio.sleep(0.05)
        return answer

    await relay_on(rows, log, step=slow, lease=lease).turn()
    assert len(log.values) == 2
    assert len(rows.rows) == 7


async def test_who_leads_renews_the_lease_long_before_its_end_and_not_at_each_look(
    monkeypatch: pytest.MonkeyPatch,
):
    now, lease, step = [100.0], InMemoryLease(seconds=30), FaultyStep()
    monkeypatch.setattr("service_kit.outbox.relay.monotonic", lambda: now[0])
    relay = relay_on(InMemoryWaitingRows(), FakeKafka(), step=step, lease=lease)
    for _ in range(60):
        await relay.turn()
        now[0] += 0.5
    assert (step.calls["acquire"], step.calls["page"]) == (3, 60)
    lease.holder = "another"
    now[0] += 10
    await relay.turn()
    assert step.calls["page"] == 60


async def test_who_waits_long_for_kafka_keeps_the_lease():
    rows, log, lease = InMemoryWaitingRows(), FakeKafka(), InMemoryLease(seconds=0.3)
    rows.put(*some_rows()[:4])

    async def slow(name: str, call: Callable[[], Awaitable[T]]) -> T:
        if name == "publish":
            await asyncio.sleep(0.12)
        return await call()

    await relay_on(rows, log, step=slow, lease=lease).turn()
    assert len(log.values) == 4


async def test_a_row_acknowledged_behind_one_that_was_not_stays():
    rows = InMemoryWaitingRows()
    rows.put(row(1, "a", 1), row(2, "a", 2), row(3, "b", 1))

    class Careless:
        async def publish(
            self, records: Sequence[tuple[str, str, bytes]], _: Callable[[], bool]
        ) -> list[BaseException | None]:
            return [KafkaConnectionError() if value == b"a/1" else None for _, _, value in records]

    relay = Relay(
        rows, publisher=Careless(), lease=InMemoryLease(), clock=FixedClock(NOW),
        batch=9, poll_seconds=0, retry_seconds=0,
    )  # fmt: skip
    assert await relay.relay_page() == (1, 2)
    assert sorted(rows.rows) == ["0001", "0002"]


async def test_a_row_that_kafka_refuses_holds_its_own_key_and_nobody_else():
    rows, log = InMemoryWaitingRows(), FakeKafka()
    rows.put(*some_rows())
    log.refused = {b"a/2"}
    relay = relay_on(rows, log)
    for _ in range(6):
        await relay.turn()
    assert log.firsts() == COMPLETE | {"a": [1]}
    assert rows.closed == {"a": "MessageSizeTooLargeError"}
    assert sorted(row.sequence for row in rows.rows.values()) == [2, 3, 4]

    log.refused, rows.closed = set(), {}
    await until_empty(relay_on(rows, log), rows)
    assert log.firsts() == COMPLETE


async def test_rows_that_fail_at_the_head_do_not_hide_the_ones_behind():
    rows, log = InMemoryWaitingRows(), FakeKafka()
    sick = [row(n, f"sick{n}", 1) for n in range(10)]
    rows.put(*sick, *[row(n, f"well{n}", 1) for n in range(10, 14)])
    log.failing = {item.value for item in sick}
    relay = relay_on(rows, log, batch=4)
    for _ in range(5):
        await relay.turn()
    assert sorted(log.firsts()) == [f"well{n}" for n in range(10, 14)]
    log.failing = set()
    await until_empty(relay, rows)


async def test_one_hot_key_does_not_starve_the_others():
    rows, log = InMemoryWaitingRows(), FakeKafka()
    rows.put(*[row(n, "hot", n) for n in range(1, 50)], row(50, "zzz", 1))
    relay = relay_on(rows, log, batch=4)
    turns = 0
    while "zzz" not in log.firsts():
        rows.put(*[row(100 + turns * 4 + n, "hot", 100 + turns * 4 + n) for n in range(4)])
        await relay.turn()
        turns += 1
    assert turns <= 13  # the key's own place in the queue, whatever the hot one adds behind it


async def test_a_stop_in_the_middle_lets_what_is_on_its_way_arrive_and_removes_it():
    rows, log = InMemoryWaitingRows(), FakeKafka()
    rows.put(*some_rows())
    on_its_way, go_on = asyncio.Event(), asyncio.Event()

    async def held(name: str, call: Callable[[], Awaitable[T]]) -> T:
        if name == "publish":
            on_its_way.set()
            await go_on.wait()
        return await call()

    running = asyncio.create_task(relay_on(rows, log, step=held).run())
    await on_its_way.wait()
    running.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert log.values == [b"a/1"]
    assert sorted(rows.rows) == [f"{n:04d}" for n in range(2, 10)]


async def test_age_and_number_of_what_waits_are_shown_while_kafka_hangs():
    rows, log, clock = InMemoryWaitingRows(), FakeKafka(), FixedClock(NOW)
    rows.put(*some_rows())
    hangs, go_on = asyncio.Event(), asyncio.Event()

    async def step(_: str, call: Callable[[], Awaitable[T]]) -> T:
        hangs.set()
        await go_on.wait()
        return await call()

    relay = Relay(
        rows, publisher=StepwisePublisher(log, step), lease=InMemoryLease(), clock=clock,
        batch=20, poll_seconds=0, retry_seconds=0,
    )  # fmt: skip
    running = asyncio.create_task(relay.run())
    await hangs.wait()
    clock.advance(42)
    assert REGISTRY.get_sample_value("campaigns_outbox_waiting") == 9
    assert REGISTRY.get_sample_value("campaigns_outbox_oldest_seconds") == 42
    assert REGISTRY.get_sample_value("campaigns_outbox_leader") == 1
    running.cancel()
    go_on.set()
    await asyncio.wait({running})
    assert REGISTRY.get_sample_value("campaigns_outbox_oldest_seconds") == 0  # who does not lead says nothing
    assert REGISTRY.get_sample_value("campaigns_outbox_leader") == 0
