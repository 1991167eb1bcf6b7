"""Count a campaign again from the log, into the next version of its book, and let that one hold.

Mental model: the new book is made by the same fold, beside the one that holds, with positions of its own.
Facts count by name, so it may be ahead of the live positions: what is folded live later finds its name there.
It must not be behind them. So it follows the log to the end, and the transaction that swaps sees that no live
position is further; a live fold of this campaign at that moment writes the same row of `numbers`, and one of
the two repeats, in the book that holds then. Dying anywhere leaves the old book or the new one, and rows that
the next run removes. Of two who count a campaign again, the one that began last goes on: each transaction of
the other finds that out, be it to fold, to swap or to remove. Clicks and conversions come first: as long as
nobody is reached yet, nobody needs to be looked for among the reached, and deliveries find the few who did
something.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta

from contracts.catalogue import event_type
from contracts.envelope import ContractError
from contracts.events.campaign import CampaignCreated
from contracts.topics import ENGAGEMENT_EVENTS
from service_kit.ports import Transactions, Tx

from stats_service.application.fold_batch import Batch, ForeignFacts, fold_batch
from stats_service.application.ports import Ledger, Partition, Positions, Record
from stats_service.application.ports_rebuild import (
    Books,
    Follow,
    Holding,
    LivePositions,
    Names,
    Superseded,
    Tail,
    Totals,
)
from stats_service.application.read_fact import read_fact
from stats_service.domain.fact_names import FactName, names_of
from stats_service.domain.facts import CampaignSeen, Fact
from stats_service.domain.odd import is_of_the_future

MOST_FACTS = 100
"""In one transaction: each may be of a hundred persons."""
MOST_DEEDS = 1_000
"""Clicks and conversions in one transaction."""
ATTEMPTS = 100
"""To be at the end of the log while nobody has counted further."""


class NotRebuilt(Exception):
    """Nothing has changed; the text says why."""


class _Behind(Exception):
    """Somebody has counted of `partition` what this rebuild has not read yet."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(partition)
        self.partition = partition


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The version that holds now, how many facts it counts, and the totals of the book before and of it."""

    version: int
    facts: int
    before: Totals
    after: Totals


@dataclass(slots=True)
class Rebuild:
    """Of `campaign`, whose book `holding` held when `books` began.

    `positions` and `ledger` are those of the next book, `live` are the positions of the numbers that hold.
    """

    campaign: str
    holding: Holding
    books: Books
    transactions: Transactions
    positions: Positions
    ledger: Ledger
    live: LivePositions
    attribution: timedelta
    _begins: bool = False
    """The log still has the campaign's first event."""
    _facts: int = 0
    _foreign: set[FactName] = field(default_factory=set)
    """What another organisation told of the campaign: who did not know it yet may have counted that."""
    _folded: dict[Partition, int] = field(default_factory=dict)

    async def run(self, follow: Follow) -> Rebuilt:
        """Do it. Raises NotRebuilt, Superseded, and what log and database raise: then the old book holds."""
        await self.books.clear_others(self.campaign)
        async with follow() as tail:
            await self._read(tail)
            await self._refuse_if_something_is_gone(tail)
            before, after = await self._swap_at_the_end(tail)
        with suppress(Superseded):  # then the other one removes what is left
            await self.books.clear_others(self.campaign)
        return Rebuilt(self._next, self._facts, before, after)

    @property
    def _next(self) -> int:
        return self.holding.version + 1

    async def _read(self, tail: Tail) -> None:
        async for partition, records in tail.rest():
            for batch in self._batches(partition, records):
                await self._fold(batch)

    def _batches(self, partition: Partition, records: Sequence[Record]) -> Iterator[Batch]:
        """Those of `records` that say something of the campaign, as batches that follow each other."""
        facts = [(record.offset, fact) for record in records if (fact := self._fact(record)) is not None]
        most = MOST_DEEDS if partition.topic == ENGAGEMENT_EVENTS.name else MOST_FACTS
        for at in range(0, len(facts), most):
            some = facts[at : at + most]
            yield Batch(partition, self._folded.get(partition, -1) + 1, some[-1][0], some)

    def _fact(self, record: Record) -> Fact | None:
        """None for what the fold parks, and what is of no campaign or of another one."""
        if record.value is None or self.campaign.encode() not in record.value:
            return None
        try:
            fact = read_fact(record.value)
        except ContractError:
            return None
        if fact is None or getattr(fact, "campaign", None) != self.campaign:
            return None
        if isinstance(fact, CampaignSeen):
            self._begins |= event_type(record.value) == CampaignCreated.event_type
            return None
        return None if is_of_the_future(fact, record.at_ms) else fact

    async def _fold(self, batch: Batch) -> None:
        await self.positions.read(batch.partition)
        try:
            folded = await fold_batch(
                batch,
                transactions=self.transactions,
                positions=self.positions,
                ledger=self.ledger,
                attribution=self.attribution,
            )
        except ForeignFacts as error:
            foreign = [fact for offset, fact in batch.facts if offset in error.offsets]
            self._foreign.update(name for fact in foreign for name in names_of(fact))
            await self._fold(batch.without(error.offsets))
            return
        self._facts += folded.counted
        self._folded[batch.partition] = batch.last

    async def _refuse_if_something_is_gone(self, tail: Tail) -> None:
        gone = 0
        async for names in self.books.names(self.campaign, self.holding.version):
            if await self._missing(names):
                # Perhaps they were counted a moment ago: then the log has them by now.
                await self._read(tail)
                gone += len(await self._missing(names))
        if gone or not self._begins:
            await self.books.clear_others(self.campaign)
            what = f"{gone} facts that are counted" if gone else "the campaign's first event"
            raise NotRebuilt(f"the log no longer holds {what}")

    async def _missing(self, names: Names) -> Set[FactName]:
        """Those of `names` that the next book should have and has not."""
        return await self.books.missing(names, self.campaign, self._next) - self._foreign

    async def _swap_at_the_end(self, tail: Tail) -> tuple[Totals, Totals]:
        for _ in range(ATTEMPTS):
            try:
                return await self.transactions.run(lambda tx: self._swap(tx, tail.at))
            except _Behind as behind:
                await self._read(tail)
                if behind.partition not in tail.at:
                    gone = f"{behind.partition.topic}:{behind.partition.number}"
                    raise NotRebuilt(f"there is a position of {gone}, which the log does not have") from None
        raise NotRebuilt("events come faster than they can be read; try again later")

    async def _swap(self, tx: Tx, read: Mapping[Partition, int]) -> tuple[Totals, Totals]:
        followed = {partition.topic for partition in read}
        for partition, position in (await self.live.all_in(tx)).items():
            if partition.topic in followed and position >= read.get(partition, 0):
                raise _Behind(partition)
        before = await self.books.totals(tx, self.campaign, self.holding.version)
        after = await self.books.totals(tx, self.campaign, self._next)
        await self.books.swap(tx, self.campaign, self.holding)
        return before, after
