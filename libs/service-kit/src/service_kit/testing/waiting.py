"""Waiting in tests: poll with a deadline, never a fixed sleep."""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import TypeVar

T = TypeVar("T")


async def eventually(
    read: Callable[[], Awaitable[T]],
    good: Callable[[T], bool],
    *,
    seconds: float = 20,
    every: float = 0.05,
) -> T:
    """Read until `good`; the value. Raises AssertionError with the last value after `seconds`."""
    deadline = monotonic() + seconds
    while True:
        value = await read()
        if good(value):
            return value
        if monotonic() > deadline:
            raise AssertionError(f"not so within {seconds} s; last seen: {value!r}")
        await asyncio.sleep(every)
