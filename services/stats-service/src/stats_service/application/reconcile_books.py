"""Compare the books with a plain recount of the log.

Mental model: what can be compared is what stood still. Revisions are noted first, then positions; the log is
counted up to these; a campaign whose revision is still the same at the end had counted, all the while, just
what the recount has. One that moved is left for the next night, and so is one of which the log has lost
something. Clicks and conversions are read first, so that of the messages that arrived only those are kept
that somebody did something with.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import NamedTuple

from contracts.catalogue import event_type
from contracts.envelope import ContractError
from contracts.events.campaign import CampaignCreated
from contracts.topics import ENGAGEMENT_EVENTS

from stats_service.application.ports import Bounds, Log, Partition, Positions, Record
from stats_service.application.ports_reconcile import Held, Written, WrittenBooks
from stats_service.application.read_fact import read_fact
from stats_service.domain.dimensions import Line
from stats_service.domain.facts import CampaignSeen, Fact, WindowRecorded
from stats_service.domain.odd import is_of_the_future
from stats_service.domain.recount import Book, Recount

BREATH = 20
"""Records between two moments for others: to read some hundred outcomes takes a millisecond."""


class Difference(NamedTuple):
    """A number that is not what it should be."""

    line: Line
    metric: str
    written: int
    recounted: int
    of: str


@dataclass(slots=True)
class Reconciled:
    """How many campaigns were as recounted, how many could not be compared, and which differ."""

    equal: int = 0
    skipped: int = 0
    different: dict[str, list[Difference]] = field(default_factory=dict)

    def add(self, campaign: str, differences: list[Difference] | None) -> None:
        """What was found of a campaign; None if it could not be compared."""
        if differences is None:
            self.skipped += 1
        elif differences:
            self.different[campaign] = differences
        else:
            self.equal += 1


@dataclass(slots=True)
class Reconcile:
    """`breathe` lets others work; it may raise when the work is not ours any more."""

    topics: Collection[str]
    log: Log
    positions: Positions
    books: WrittenBooks
    attribution: timedelta
    breathe: Callable[[], Awaitable[None]]
    _begun: set[str] = field(default_factory=set)
    """Campaigns whose first event is in the log."""
    _orgs: Mapping[str, str] = field(default_factory=dict)
    _foreign: set[tuple[str, str, int, int]] = field(default_factory=set)
    """Windows that another organisation told of: the log has them, and they do not count."""

    async def run(self) -> Reconciled:
        """Do it once. Raises LogAway, the database's errors, and what `breathe` raises."""
        held = await self.books.held()
        self._orgs = await self.books.orgs()
        positions = await self.positions.all()
        bounds = await self.log.bounds(self.topics)
        recount = await self._recount(positions, bounds)
        result, compared = Reconciled(), set()
        for counted in recount.counting():
            await self.breathe()
            if counted is not None:
                campaign, book = counted
                compared.add(campaign)
                result.add(campaign, await self._compare(campaign, held.get(campaign), book, recount))
        for campaign in held.keys() - compared:
            await self.breathe()
            result.add(campaign, await self._compare(campaign, held[campaign], Book(), recount))
        return result

    async def _recount(
        self, positions: Mapping[Partition, int], bounds: Mapping[Partition, Bounds]
    ) -> Recount:
        recount = Recount(self.attribution // timedelta(milliseconds=1), by_minute=False)
        ordered = sorted(bounds, key=lambda part: part.topic != ENGAGEMENT_EVENTS.name)
        first = [part for part in ordered if part.topic == ENGAGEMENT_EVENTS.name]
        for partition in first:
            async for record in self._records(partition, positions, bounds):
                self._add(recount, record)
        recount.nobody_else()
        for partition in ordered[len(first) :]:
            async for record in self._records(partition, positions, bounds):
                self._add(recount, record)
        return recount

    async def _records(
        self, partition: Partition, positions: Mapping[Partition, int], bounds: Mapping[Partition, Bounds]
    ) -> AsyncIterator[Record]:
        stop = min(positions.get(partition, -1) + 1, bounds[partition].end)
        if bounds[partition].start >= stop:
            return
        async for piece in self.log.read(partition, bounds[partition].start, stop):
            for number, record in enumerate(piece):
                if number % BREATH == 0:
                    await self.breathe()
                yield record

    def _add(self, recount: Recount, record: Record) -> None:
        try:
            fact = read_fact(record.value)
        except ContractError:
            return
        if fact is None or is_of_the_future(fact, record.at_ms):
            return
        if isinstance(fact, CampaignSeen) and record.value is not None:
            if event_type(record.value) == CampaignCreated.event_type:
                self._begun.add(fact.campaign)
            return
        if not self._is_foreign(fact):
            recount.add(fact)
        elif isinstance(fact, WindowRecorded):
            self._foreign.add((fact.campaign, fact.execution, fact.shard, fact.window))

    def _is_foreign(self, fact: Fact) -> bool:
        """Whether the fold has parked it, as told by another organisation than the campaign's."""
        campaign = getattr(fact, "campaign", "")
        return campaign in self._orgs and fact.org != self._orgs[campaign]

    async def _compare(
        self, campaign: str, before: Held | None, book: Book, recount: Recount
    ) -> list[Difference] | None:
        """What differs; None for a campaign that cannot be compared."""
        if campaign not in self._begun:
            return None
        written = await self.books.read(campaign, before.version) if before else Written({}, {}, ())
        if await self.books.held_of(campaign) != before:
            return None
        if any(
            not recount.has(campaign, shard.execution, shard.shard, window)
            and (campaign, shard.execution, shard.shard, window) not in self._foreign
            for shard in written.shards
            for first, last in shard.windows
            for window in range(first, last + 1)
        ):
            return None
        return list(_differences(written, book))


def _differences(written: Written, book: Book) -> "list[Difference]":
    found = []
    for of, numbers in (("totals", written.totals), ("days", written.days)):
        for line, metric in sorted({*numbers, *book.totals}):
            if of == "days" and metric.startswith("tasks"):
                continue
            here, there = numbers.get((line, metric), 0), book.totals.get((line, metric), 0)
            if here != there:
                found.append(Difference(line, metric, here, there, of))
    return found
