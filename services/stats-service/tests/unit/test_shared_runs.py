"""Work that is done once for all who ask at the same time."""

import asyncio
from contextvars import ContextVar

import pytest
from stats_service.application.shared_runs import SharedRuns

WHOSE: ContextVar[str] = ContextVar("whose", default="nobody's")


class Slow:
    """Work that ends when it is told to; it answers how many runs had begun."""

    def __init__(self) -> None:
        self.begun = 0
        self.gates: list[asyncio.Future[None]] = []
        self.whose: list[str] = []

    async def __call__(self, key: str) -> int:
        self.begun += 1
        number = self.begun
        self.whose.append(WHOSE.get())
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gates.append(gate)
        await gate
        return number


async def settle() -> None:
    """Let everything that can go on go on."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_while_a_run_is_under_way_shares_the_next_one() -> None:
    slow = Slow()
    runs: SharedRuns[str, int] = SharedRuns(slow)
    first = asyncio.create_task(runs("a"))
    await settle()
    later = [asyncio.create_task(runs("a")) for _ in range(15)]
    await settle()
    assert slow.begun == 1
    slow.gates[0].set_result(None)
    await settle()
    assert (first.done(), slow.begun) == (True, 2), "an answer that began before the question is not theirs"
    slow.gates[1].set_result(None)
    assert await asyncio.gather(first, *later) == [1] + [2] * 15


async def test_other_keys_do_not_wait() -> None:
    slow = Slow()
    runs: SharedRuns[str, int] = SharedRuns(slow)
    asking = [asyncio.create_task(runs(key)) for key in "ab"]
    await settle()
    assert slow.begun == 2
    for gate in slow.gates:
        gate.set_result(None)
    assert await asyncio.gather(*asking) == [1, 2]


async def test_who_gives_up_leaves_the_others_theirs() -> None:
    slow = Slow()
    runs: SharedRuns[str, int] = SharedRuns(slow)
    first, second = (asyncio.create_task(runs("a")) for _ in range(2))
    await settle()
    first.cancel()
    await settle()
    slow.gates[0].set_result(None)
    assert await second == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_failure_is_told_to_all_who_waited_and_the_next_run_is_a_new_one() -> None:
    failing = True

    async def work(_key: str) -> str:
        if failing:
            raise ConnectionError
        return "fine"

    runs: SharedRuns[str, str] = SharedRuns(work)
    told = await asyncio.gather(runs("a"), runs("a"), return_exceptions=True)
    assert [type(one) for one in told] == [ConnectionError, ConnectionError]
    failing = False
    assert await runs("a") == "fine"


async def test_a_run_has_nobodys_time_limit() -> None:
    slow = Slow()
    runs: SharedRuns[str, int] = SharedRuns(slow)
    token = WHOSE.set("mine")
    asking = asyncio.create_task(runs("a"))
    await settle()
    WHOSE.reset(token)
    slow.gates[0].set_result(None)
    await asking
    assert slow.whose == ["nobody's"]


async def test_nothing_is_kept_of_a_key_when_nobody_waits() -> None:
    async def work(key: str) -> str:
        return key

    runs: SharedRuns[str, str] = SharedRuns(work)
    await asyncio.gather(*(runs(f"{number % 7}") for number in range(100)))
    await settle()
    assert (runs._next, runs._running) == ({}, {})
