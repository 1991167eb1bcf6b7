"""Days pass in no time, but not under somebody who works."""

import asyncio
import time
from datetime import UTC, datetime

import pytest
from service_kit.testing.simulated_time import SimulatedClock, simulate

START = datetime(2026, 6, 1, tzinfo=UTC)


def test_who_sleeps_wakes_in_order_and_at_its_time() -> None:
    async def main() -> list[tuple[str, datetime]]:
        clock, woken = SimulatedClock(START), list[tuple[str, datetime]]()

        async def sleeper(name: str, hours: float) -> None:
            await asyncio.sleep(hours * 3600)
            woken.append((name, clock.now()))

        await asyncio.gather(sleeper("long", 48), sleeper("short", 0.5), sleeper("middle", 6))
        return woken

    began = time.monotonic()
    assert simulate(main()) == [
        ("short", datetime(2026, 6, 1, 0, 30, tzinfo=UTC)),
        ("middle", datetime(2026, 6, 1, 6, tzinfo=UTC)),
        ("long", datetime(2026, 6, 3, tzinfo=UTC)),
    ]
    assert time.monotonic() - began < 60


def test_no_time_passes_while_a_thread_works() -> None:
    async def main() -> tuple[list[str], float]:
        loop, done = asyncio.get_running_loop(), list[str]()
        began = loop.time()

        async def sleeper() -> None:
            await asyncio.sleep(0.001)
            done.append("slept")

        async def worker() -> None:
            await asyncio.to_thread(time.sleep, 0.05)
            done.append("worked")

        await asyncio.gather(sleeper(), worker())
        return done, loop.time() - began

    done, passed = simulate(main())
    assert done == ["worked", "slept"]
    assert passed == pytest.approx(0.001)


def test_timeouts_are_of_simulated_time() -> None:
    async def main() -> None:
        async with asyncio.timeout(3600):
            await asyncio.sleep(7200)

    with pytest.raises(TimeoutError):
        simulate(main())
