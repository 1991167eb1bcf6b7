"""Transactions that may collide on a key that two requests create at once."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from service_kit.errors import DependencyDown
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Collision

T = TypeVar("T")
ATTEMPTS = 5


async def run_again(transactions: Transactions, work: Callable[[Tx], Awaitable[T]]) -> T:
    """`work`'s answer, committed; run again from the start when it collides. At last DependencyDown."""
    for _ in range(ATTEMPTS):
        try:
            return await transactions.run(work)
        except Collision:
            continue
    raise DependencyDown("too many changes to the same thing at once")
