"""Fold batches of partitions into the numbers, in one transaction with the positions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from service_kit.ports import Transactions, Tx

from stats_service.application.ports import Ledger, Partition, PositionMoved, Positions
from stats_service.domain.facts import Fact
from stats_service.domain.fold import fold
from stats_service.domain.states import Result, engaged_in, names_in


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
    """Fold one batch, see `fold_batches`."""
    return await fold_batches(
        [batch], transactions=transactions, positions=positions, ledger=ledger, attribution=attribution
    )


async def fold_batches(
    batches: Sequence[Batch],
    *,
    transactions: Transactions,
    positions: Positions,
    ledger: Ledger,
    attribution: timedelta,
) -> Folded:
    """Count what lies beyond the stored positions and move them to the ends of the batches, all or nothing.

    `batches` are of different partitions. `attribution` is how long after a message, or a click, a conversion
    counts as brought about by it. A batch that was folded before, by anybody, changes nothing. Raises
    PositionMoved when a position is not where its batch could go on, or moves meanwhile; ForeignFacts, and
    then nothing was counted.
    """

    told = (fact for batch in batches for _, fact in batch.facts)
    ahead = await ledger.look_ahead(engaged_in(told))

    async def work(tx: Tx) -> Folded:
        stored = {batch.partition: await positions.read_in(tx, batch.partition) for batch in batches}
        for batch in batches:
            if stored[batch.partition] < batch.first - 1:
                raise PositionMoved("the position is before the batch")
        fresh = [item for batch in batches for item in batch.facts if item[0] > stored[batch.partition]]
        facts = [fact for _, fact in fresh]
        known = await ledger.known(tx, names_in(facts), ahead)
        changes = fold(facts, known, window_ms=attribution // timedelta(milliseconds=1))
        if changes.foreign:
            raise ForeignFacts([fresh[place][0] for place in changes.foreign])
        await ledger.apply(tx, known, changes)
        for partition, last in ((batch.partition, batch.last) for batch in batches):
            if stored[partition] < last:
                await positions.move(tx, partition, before=stored[partition], after=last)
        results = changes.results
        replayed = sum(len(batch.facts) for batch in batches) - len(facts)
        return Folded(results[Result.COUNTED], results[Result.DUPLICATE] + replayed, results[Result.DROPPED])

    return await transactions.run(work)
