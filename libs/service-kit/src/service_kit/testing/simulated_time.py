"""Time that passes only while everybody waits for it: days of a program's life in seconds.

Mental model: the event loop's clock stands still while anything runs, here or in a thread that was asked for
an answer (MongoDB's driver works in those). When all that is left to do is to wait for a timer, it is that
timer's time at once. So nothing is ever late but by its own doing, and two runs differ only in how threads
answer. Not for sockets of the loop itself: nobody knows whether their answer is on its way.
"""

import asyncio
import selectors
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop that does not wait."""

    def __init__(self) -> None:
        self._shown = 1_000.0
        self._threads = 0
        self._ready_or_timer = selectors.DefaultSelector()
        super().__init__(self._ready_or_timer)
        self._wait = self._ready_or_timer.select
        self._ready_or_timer.select = self._select  # type: ignore[method-assign]

    def time(self) -> float:
        """Seconds, as simulated."""
        return self._shown

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        """As any loop does; meanwhile no time passes."""
        future = super().run_in_executor(executor, func, *args)
        self._threads += 1
        future.add_done_callback(self._answered)
        return future

    def _answered(self, _: object) -> None:
        self._threads -= 1

    def _select(self, timeout: float | None = None) -> Any:
        if self._threads:
            return self._wait(timeout if timeout is not None and timeout <= 0 else None)
        found = self._wait(0 if timeout is not None else None)
        if not found and timeout is not None:
            self._shown += max(0.0, timeout)
        return found


class SimulatedClock:
    """The port `Clock`: it shows `start` when the loop in which it is made is as it is then."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._began = asyncio.get_running_loop().time()

    def now(self) -> datetime:
        """The simulated time in UTC, to the millisecond."""
        passed = int((asyncio.get_running_loop().time() - self._began) * 1000)
        return self._start + timedelta(milliseconds=passed)


def simulate(main: Coroutine[Any, Any, T]) -> T:
    """Run `main` to its end in simulated time."""
    with asyncio.Runner(loop_factory=SimulatedLoop) as runner:
        return runner.run(main)
