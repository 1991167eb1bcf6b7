"""Fold a batch of one partition into the numbers, in one transaction with the position."""

from collections.abc import Sequence
from dataclasses import dataclass

from service_kit.ports import Transactions, Tx

from stats_service.application.ports import Ledger, Partition, PositionMoved, Positions
from stats_service.domain.facts import ExecutionEnded, ExecutionPlanned, Fact, WindowRecorded
from stats_service.domain.fold import ShardKey, fold


@dataclass(frozen=True, slots=True)
class Batch:
    """All that `partition` holds from offset `first` to `last`, both inclusive.

    `facts` are (offset, fact) in order; an offset without one holds nothing that counts.
    """

    partition: Partition
    first: int
    last: int
    facts: Sequence[tuple[int, Fact]]


@dataclass(frozen=True, slots=True)
class Folded:
    """How many facts were counted, and how many were in the numbers already."""

    counted: int = 0
    duplicates: int = 0


async def fold_batch(
    batch: Batch, *, transactions: Transactions, positions: Positions, ledger: Ledger
) -> Folded:
    """Count what lies beyond the stored position and move it to the end of the batch.

    A batch that was folded before, by anybody, changes nothing. Raises PositionMoved when the position
    is not where the batch could go on, or moves meanwhile.
    """

    async def work(tx: Tx) -> Folded:
        stored = await positions.read_in(tx, batch.partition)
        if stored >= batch.last:
            return Folded(duplicates=len(batch.facts))
        if stored < batch.first - 1:
            raise PositionMoved("the position is before the batch")
        facts = [fact for offset, fact in batch.facts if offset > stored]
        known = await ledger.known(tx, *_names(facts))
        changes = fold(facts, known)
        await ledger.apply(tx, changes)
        await positions.move(tx, batch.partition, before=stored, after=batch.last)
        return Folded(changes.counted, changes.duplicates + len(batch.facts) - len(facts))

    return await transactions.run(work)


def _names(facts: Sequence[Fact]) -> tuple[set[ShardKey], set[str]]:
    shards = {ShardKey(fact.execution, fact.shard) for fact in facts if isinstance(fact, WindowRecorded)}
    executions = {fact.execution for fact in facts if isinstance(fact, (ExecutionPlanned, ExecutionEnded))}
    return shards, executions
