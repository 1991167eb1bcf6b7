"""Fold a batch of one partition into the numbers, in one transaction with the position."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service_kit.ports import Transactions, Tx

from stats_service.application.ports import Ledger, Partition, PositionMoved, Positions
from stats_service.domain.facts import Fact
from stats_service.domain.fold import fold
from stats_service.domain.states import Result, names_in


@dataclass(frozen=True, slots=True)
class Batch:
    """All that `partition` holds from offset `first` to `last`, both inclusive.

    `facts` are (offset, fact) in order; an offset without one holds nothing that counts.
    """

    partition: Partition
    first: int
    last: int
    facts: Sequence[tuple[int, Fact]]

    def without(self, offsets: Sequence[int]) -> "Batch":
        """The same, but nothing that counts at `offsets`."""
        gone = frozenset(offsets)
        facts = [item for item in self.facts if item[0] not in gone]
        return Batch(self.partition, self.first, self.last, facts)


@dataclass(frozen=True, slots=True)
class Folded:
    """How many facts were counted, were in the numbers already, and were dropped."""

    counted: int = 0
    duplicates: int = 0
    dropped: int = 0


class ForeignFacts(Exception):
    """The facts at `offsets` speak of campaigns that belong to another organisation than theirs."""

    def __init__(self, offsets: Sequence[int]) -> None:
        super().__init__(f"foreign facts at {offsets}")
        self.offsets = offsets


async def fold_batch(
    batch: Batch,
    *,
    transactions: Transactions,
    positions: Positions,
    ledger: Ledger,
    attribution: timedelta,
) -> Folded:
    """Count what lies beyond the stored position and move it to the end of the batch.

    `attribution` is how long after a message, or a click, a conversion counts as brought about by it.

    A batch that was folded before, by anybody, changes nothing. Raises PositionMoved when the position
    is not where the batch could go on, or moves meanwhile; ForeignFacts, and then nothing was counted.
    """

    async def work(tx: Tx) -> Folded:
        stored = await positions.read_in(tx, batch.partition)
        if stored >= batch.last:
            return Folded(duplicates=len(batch.facts))
        if stored < batch.first - 1:
            raise PositionMoved("the position is before the batch")
        fresh = [item for item in batch.facts if item[0] > stored]
        facts = [fact for _, fact in fresh]
        known = await ledger.known(tx, names_in(facts))
        changes = fold(facts, known, window_ms=attribution // timedelta(milliseconds=1))
        if changes.foreign:
            raise ForeignFacts([fresh[place][0] for place in changes.foreign])
        await ledger.apply(tx, known, changes)
        await positions.move(tx, batch.partition, before=stored, after=batch.last)
        results = changes.results
        duplicates = results[Result.DUPLICATE] + len(batch.facts) - len(facts)
        return Folded(results[Result.COUNTED], duplicates, results[Result.DROPPED])

    return await transactions.run(work)
