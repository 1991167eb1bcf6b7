"""See to it that no message stays behind: compare the positions with the log itself.

Mental model: the consumer is the fast way, the log is the truth. A position that stands still while its
partition has more (a consumer that skipped or hangs) is brought up from the log. A position at or
beyond the end of its partition cannot be: the topic was made anew, so it starts again; facts
count by name, so what was in the numbers is not counted twice.
"""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from service_kit.ports import Transactions, Tx

from stats_service.application.ports import Log, Partition, PositionMoved, Positions

Fill = Callable[[Partition, int], Awaitable[bool]]
"""Folds a partition from the log, from its position up to an offset; False when that is left for later."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found."""

    filled: tuple[Partition, ...]
    reset: tuple[Partition, ...]


class CatchUp:
    """Looks again and again; remembers the positions of the look before."""

    def __init__(
        self,
        topics: Collection[str],
        *,
        log: Log,
        positions: Positions,
        transactions: Transactions,
        fill: Fill,
    ) -> None:
        self._topics = topics
        self._log = log
        self._positions = positions
        self._transactions = transactions
        self._fill = fill
        self._before: dict[Partition, int] = {}

    async def look(self) -> Look:
        """Mend what needs it. Raises Retryable (LogAway, PositionMoved) and the database's errors."""
        # The order matters: a position read before the end can never pass it, however busy the topic.
        now = await self._positions.all()
        bounds = await self._log.bounds(self._topics)
        before, self._before = self._before, {part: now.get(part, -1) for part in bounds}
        filled, reset = [], []
        for partition, (start, end) in bounds.items():
            position = self._before[partition]
            if position >= end:
                if await self._start_again(partition, position, start):
                    reset.append(partition)
                    self._before[partition] = start - 1
            elif (
                position + 1 < end and before.get(partition) == position and await self._fill(partition, end)
            ):
                filled.append(partition)
        return Look(tuple(filled), tuple(reset))

    async def _start_again(self, partition: Partition, position: int, start: int) -> bool:
        async def work(tx: Tx) -> None:
            await self._positions.move(tx, partition, before=position, after=start - 1)

        try:
            await self._transactions.run(work)
        except PositionMoved:
            return False
        return True
