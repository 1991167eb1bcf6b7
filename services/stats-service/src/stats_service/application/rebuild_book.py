"""Count a campaign again from the log, into the next version of its book, and let that one hold.

Mental model: the new book is made by the same fold, beside the one that holds, with positions of its own.
Facts count by name, so it may be ahead of the live positions: what is folded live later finds its name there.
It must not be behind them. So it follows the log to the end, and the transaction that swaps sees that no live
position is further; a live fold of this campaign at that moment writes the same row of `numbers`, and one of
the two repeats, in the book that holds then. Dying anywhere leaves the old book or the new one, and rows that
the next run removes. Of two who make the same book, the one that began last goes on: each transaction of the
other finds that out.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from contracts.catalogue import event_type
from contracts.envelope import ContractError
from contracts.events.campaign import CampaignCreated
from service_kit.ports import Transactions, Tx

from stats_service.application.fold_batch import Batch, ForeignFacts, fold_batch
from stats_service.application.ports import Ledger, Partition, Record
from stats_service.application.ports_rebuild import (
    Books,
    Follow,
    Holding,
    LivePositions,
    Making,
    Tail,
    Totals,
)
from stats_service.application.read_fact import read_fact
from stats_service.domain.facts import CampaignSeen, Fact
from stats_service.domain.odd import is_of_the_future

MOST_FACTS = 100
"""In one transaction."""
ATTEMPTS = 100
"""To be at the end of the log while nobody has counted further."""


class NotRebuilt(Exception):
    """Nothing has changed; the text says why."""


class _Behind(Exception):
    """Somebody has counted what this rebuild has not read yet."""


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """The version that holds now, how many facts it counts, and the totals of the book before and of it."""

    version: int
    facts: int
    before: Totals
    after: Totals


@dataclass(slots=True)
class Rebuild:
    """Of `campaign`, whose book `holding` holds.

    `positions` and `ledger` are those of the next book, `live` are the positions of the numbers that hold.
    """

    campaign: str
    holding: Holding
    books: Books
    transactions: Transactions
    positions: Making
    ledger: Ledger
    live: LivePositions
    attribution: timedelta
    _begins: bool = False
    """The log still has the campaign's first event."""
    _facts: int = 0
    _folded: dict[Partition, int] = field(default_factory=dict)

    async def run(self, follow: Follow) -> Rebuilt:
        """Do it. Raises NotRebuilt, Superseded, and what log and database raise: then the old book holds."""
        await self.books.clear_others(self.campaign, self.holding.version)
        await self.positions.begin()
        async with follow() as tail:
            await self._read(tail)
            await self._refuse_if_something_is_gone(tail)
            before, after = await self._swap_at_the_end(tail)
        await self.books.clear_others(self.campaign, self._next)
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
        for at in range(0, len(facts), MOST_FACTS):
            some = facts[at : at + MOST_FACTS]
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
            await self._fold(batch.without(error.offsets))
            return
        self._facts += folded.counted
        self._folded[batch.partition] = batch.last

    async def _refuse_if_something_is_gone(self, tail: Tail) -> None:
        gone = 0
        async for names in self.books.names(self.campaign, self.holding.version):
            if await self.books.missing(names, self.campaign, self._next):
                # Perhaps they were counted a moment ago: then the log has them by now.
                await self._read(tail)
                gone += await self.books.missing(names, self.campaign, self._next)
        if gone or not self._begins:
            await self.books.clear_others(self.campaign, self.holding.version)
            what = f"{gone} facts that are counted" if gone else "the campaign's first event"
            raise NotRebuilt(f"the log no longer holds {what}")

    async def _swap_at_the_end(self, tail: Tail) -> tuple[Totals, Totals]:
        for _ in range(ATTEMPTS):
            try:
                return await self.transactions.run(lambda tx: self._swap(tx, tail.at))
            except _Behind:
                await self._read(tail)
        raise NotRebuilt("events come faster than they can be read; try again later")

    async def _swap(self, tx: Tx, read: Mapping[Partition, int]) -> tuple[Totals, Totals]:
        live = await self.live.all_in(tx)
        if any(position >= read.get(partition, 0) for partition, position in live.items()):
            raise _Behind
        before = await self.books.totals(tx, self.campaign, self.holding.version)
        after = await self.books.totals(tx, self.campaign, self._next)
        await self.positions.end(tx)
        await self.books.swap(tx, self.campaign, self.holding)
        return before, after
