"""Doing work once for all who want it at the same time.

Mental model: a key has at most one run under way and one group that waits for the next. Who asks while a
run is under way may not have its result, which may be older than the question; but all who ask meanwhile
share the next run. So an answer is never older than its question, and however many ask, one thing runs.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class SharedRuns(Generic[K, V]):
    """Runs `work(key)`; it must bound its own time, for all wait for it."""

    def __init__(self, work: Callable[[K], Awaitable[V]]) -> None:
        self._work = work
        self._next: dict[K, asyncio.Future[V]] = {}
        self._running: dict[K, asyncio.Task[None]] = {}

    async def __call__(self, key: K) -> V:
        """The result of a run that begins after this call. Raises what `work` raises."""
        waiting = self._next.get(key)
        if waiting is None:
            waiting = self._next[key] = asyncio.get_running_loop().create_future()
            if key not in self._running:
                # In a context of its own: the caller's has a time limit that others do not share.
                run = asyncio.create_task(self._run(key), name="shared-run", context=Context())
                self._running[key] = run
        return await asyncio.shield(waiting)  # who gives up leaves the others theirs

    async def _run(self, key: K) -> None:
        try:
            while (waiting := self._next.pop(key, None)) is not None:
                await self._settle(waiting, key)
        finally:
            del self._running[key]

    async def _settle(self, waiting: asyncio.Future[V], key: K) -> None:
        try:
            waiting.set_result(await self._work(key))
        except Exception as error:
            waiting.set_exception(error)
            waiting.exception()  # seen: all who waited may have gone
        except BaseException:
            waiting.cancel()
            raise
