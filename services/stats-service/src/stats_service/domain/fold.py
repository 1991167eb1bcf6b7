"""Folding: a batch of facts and what is known already → what changes.

Mental model: facts are counted by name, see `states`, so any order and any batches give the same numbers. An
execution that failed may be mended and end again: its latest end counts, in place of the one before. The rows
of a batch's tallies are added up before they are counted for each line they belong to. Persons are in
`fold_people`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stats_service.domain.dimensions import ALL, Cell, Kind, Line, Metric
from stats_service.domain.facts import (
    CampaignSeen,
    Clicked,
    ContactErased,
    Converted,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    PriceSet,
    SegmentNamed,
    WindowRecorded,
)
from stats_service.domain.fold_people import engage, settle_people
from stats_service.domain.numbers import LOCAL_ERRORS
from stats_service.domain.person import Received
from stats_service.domain.states import (
    BookChanges,
    Changes,
    ExecutionKey,
    ExecutionState,
    Kin,
    Known,
    Result,
    ShardKey,
    ShardState,
    Task,
    campaign_seen,
)
from stats_service.domain.windows import with_window


def fold(facts: Sequence[Fact], known: Known, *, window_ms: int) -> Changes:
    """What `facts` change, each counted once. `window_ms` is how long a message leads to conversions."""
    changes = Changes()
    for place, fact in enumerate(facts):
        if _is_foreign(fact, known, changes):
            changes.foreign.append(place)
            continue
        changes.results[_one(fact, known, changes)] += 1
    for book in changes.books.values():
        _spread(book)
    settle_people(known, changes, window_ms)
    return changes


def _is_foreign(fact: Fact, known: Known, changes: Changes) -> bool:
    """Whether another organisation speaks of a campaign than the one that it belongs to."""
    if isinstance(fact, (PriceSet, SegmentNamed, ContactErased)):
        return False
    campaign = changes.campaigns.get(fact.campaign) or known.campaigns.get(fact.campaign)
    return campaign is not None and campaign.org != fact.org


def _one(fact: Fact, known: Known, changes: Changes) -> Result:
    """Fold `fact`; what became of it."""
    if isinstance(fact, WindowRecorded):
        new = _window(fact, known, changes)
    elif isinstance(fact, (Clicked, Converted)):
        return engage(fact, known, changes)
    elif isinstance(fact, CampaignSeen):
        new = _campaign(fact, known, changes)
    elif isinstance(fact, PriceSet):
        new = _price(fact, known, changes)
    elif isinstance(fact, SegmentNamed):
        new = _segment(fact, known, changes)
    elif isinstance(fact, ContactErased):
        changes.erased.append(fact)
        new = True
    else:
        new = _execution(fact, known, changes)
    return Result.COUNTED if new else Result.DUPLICATE


def _window(fact: WindowRecorded, known: Known, changes: Changes) -> bool:
    key = ShardKey(fact.campaign, fact.execution, fact.shard)
    before = changes.shards.get(key) or known.shards.get(key) or ShardState()
    windows = with_window(before.windows, fact.window)
    if windows is None:
        return False
    changes.shards[key] = ShardState(windows, before.completed or fact.shard_completed)
    book = changes.book(fact.campaign, fact.org)
    if fact.shard_completed and not before.completed:
        book.shards(Task.COMPLETED, 1)
    tally = book.tally
    for minute, message, variation, outcome, error, number, segments, contacts in fact.rows:
        kin = Kin(minute, message, variation, outcome, error, segments)
        tally[kin] = tally.get(kin, 0) + number
        if contacts:
            received = Received(minute, message, variation, segments)
            groups = changes.reached.setdefault(key, {})
            groups.setdefault(received, bytearray()).extend(contacts)
    return True


def _spread(book: BookChanges) -> None:
    """Count the book's tally in the lines that it belongs to."""
    for kin, number in book.tally.items():
        if not number:
            continue
        metrics = _metrics(kin)
        for line in _lines(kin):
            for metric in metrics:
                book.count(Cell(kin.minute, line, metric), number)
        if kin.error:
            line = Line(Kind.ERROR, kin.outcome, kin.error)
            book.count(Cell(kin.minute, line, Metric.COUNT), number)
    book.tally.clear()


def _metrics(kin: Kin) -> tuple[Metric, ...]:
    if kin.outcome == "successful":
        return (Metric.SENT, Metric.DELIVERED)
    if kin.outcome == "failed":
        return (Metric.FAILED,) if kin.error in LOCAL_ERRORS else (Metric.SENT, Metric.FAILED)
    return (Metric.SKIPPED,) if kin.outcome == "skipped" else (Metric.UNKNOWN,)


def _lines(kin: Kin) -> Iterator[Line]:
    yield ALL
    yield Line(Kind.MESSAGE, kin.message, kin.variation)
    for segment in kin.segments:
        yield Line(Kind.SEGMENT, segment)


def _execution(fact: ExecutionPlanned | ExecutionEnded, known: Known, changes: Changes) -> bool:
    key = ExecutionKey(fact.campaign, fact.execution)
    before = changes.executions.get(key) or known.executions.get(key) or ExecutionState()
    if isinstance(fact, ExecutionPlanned):
        if before.planned:
            return False
        changes.executions[key] = replace(before, planned=True)
        changes.book(fact.campaign, fact.org).shards(Task.TOTAL, fact.shards)
    else:
        if before.end is not None and fact.end <= before.end:
            return False
        changes.executions[key] = replace(before, end=fact.end)
        counted = before.end.failed if before.end else 0
        changes.book(fact.campaign, fact.org).shards(Task.FAILED, fact.end.failed - counted)
    return True


def _campaign(fact: CampaignSeen, known: Known, changes: Changes) -> bool:
    before = changes.campaigns.get(fact.campaign) or known.campaigns.get(fact.campaign)
    after = campaign_seen(before, fact)
    if after != before:
        changes.campaigns[fact.campaign] = after
    changes.links += fact.links  # whatever the order: a link never changes
    return True


def _price(fact: PriceSet, known: Known, changes: Changes) -> bool:
    before = changes.prices.get(fact.org) or known.prices.get(fact.org)
    if before is not None and fact.revision <= before.revision:
        return False
    changes.prices[fact.org] = fact
    return True


def _segment(fact: SegmentNamed, known: Known, changes: Changes) -> bool:
    key = fact.key
    before = changes.segments.get(key) or known.segments.get(key)
    if before is not None and fact.revision <= before.revision:
        return False
    # A segment that is gone keeps its last name: there are numbers under it.
    name = fact.name or (before.name if before else "")
    changes.segments[key] = replace(fact, name=name)
    return True
