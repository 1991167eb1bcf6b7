"""The plain recount: all facts, counted again from nothing. It checks what the fold counted bit by bit.

Mental model: throw every fact on a pile, those of a person on the person's own. When all are there, count:
a window once by its name, a person from everything that person did. There is no state between facts and no
difference of before and after, so this code can be right or wrong, but not in the way that the fold is.
It holds which windows there were, the sums, and some ten bytes for each thing that somebody did or got;
persons are made a few at a time. They are few when those who did something are told of first
(`nobody_else`), else they are all whom a message reached.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from stats_service.domain.dimensions import ALL, Kind, Line, Metric, revenue_in
from stats_service.domain.facts import (
    Clicked,
    Converted,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.numbers import LOCAL_ERRORS
from stats_service.domain.people import REFERENCE_BYTES
from stats_service.domain.recount_people import Conversion, Person, Pile, Words

MINUTE_MS = 60_000
BREATH = 50
"""Persons that are counted at once: some milliseconds."""
_BITS = 64


@dataclass(slots=True)
class Book:
    """What a campaign adds up to: (line, metric) → count, and (line, metric, minute) → count. 0 is absent."""

    totals: Counter[tuple[Line, str]] = field(default_factory=Counter)
    minutes: Counter[tuple[Line, str, int]] = field(default_factory=Counter)


class Recount:
    """Takes facts in any order, each any number of times; then counts.

    `window_ms` is the attribution window. `by_minute` is whether minutes are counted too: they are many.
    """

    def __init__(self, window_ms: int, *, by_minute: bool = True) -> None:
        self._window_ms = window_ms
        self._by_minute = by_minute
        self._windows: dict[tuple[str, str, int], Counter[int]] = defaultdict(Counter)
        self._completed: set[tuple[str, str, int]] = set()
        self._planned: dict[tuple[str, str], int] = {}
        self._ends: dict[tuple[str, str], list[End]] = defaultdict(list)
        self._words = Words()
        self._piles: dict[str, Pile] = defaultdict(lambda: Pile(self._words))
        self._who: dict[str, set[bytes]] = defaultdict(set)
        self._closed = False
        self._sent: dict[str, Book] = defaultdict(Book)

    def add(self, fact: Fact) -> None:
        """One more fact."""
        if isinstance(fact, WindowRecorded):
            self._window(fact)
        elif isinstance(fact, Clicked):
            self._piles[fact.campaign].clicked(fact)
            self._did_something(fact)
        elif isinstance(fact, Converted):
            self._piles[fact.campaign].converted(fact)
            self._did_something(fact)
        elif isinstance(fact, ExecutionPlanned):
            self._planned[fact.campaign, fact.execution] = fact.shards
        elif isinstance(fact, ExecutionEnded):
            self._ends[fact.campaign, fact.execution].append(fact.end)

    def _did_something(self, fact: Clicked | Converted) -> None:
        self._who[fact.campaign].add(fact.contact)

    def nobody_else(self) -> None:
        """All clicks and conversions are there: of anybody else nothing needs to be kept."""
        self._closed = True

    def has(self, campaign: str, execution: str, shard: int, window: int) -> bool:
        """Whether the window was among the facts."""
        seen = self._windows.get((campaign, execution, shard))
        return seen is not None and bool(seen[window // _BITS] >> window % _BITS & 1)

    def books(self) -> dict[str, Book]:
        """Campaign → what its facts add up to. Call it once, when all facts are there."""
        return dict(counted for counted in self.counting() if counted is not None)

    def counting(self) -> Iterator[tuple[str, Book] | None]:
        """The same one by one, each forgotten here; None in between, for others to have a moment."""
        books = self._sent
        for (campaign, _), shards in self._planned.items():
            books[campaign].totals[ALL, "tasksTotal"] += shards
        for campaign, _, _ in self._completed:
            books[campaign].totals[ALL, "tasksCompleted"] += 1
        for (campaign, _), ends in self._ends.items():
            books[campaign].totals[ALL, "tasksFailed"] += _last(ends).failed
        self._who.clear()
        for campaign in [*books, *(self._piles.keys() - books.keys())]:
            book = books.pop(campaign, None) or Book()
            if campaign in self._piles:
                yield from self._people(self._piles.pop(campaign), book)
            _drop_zeros(book.totals)
            _drop_zeros(book.minutes)
            yield campaign, book

    def _people(self, pile: Pile, book: Book) -> Iterator[None]:
        for number, person in enumerate(pile.people()):
            if person is None or number % BREATH == 0:
                yield None
            if person is not None:
                person.settle()
                for line, metric, at, count in _did(person, self._window_ms):
                    self._count(book, line, metric, at // MINUTE_MS, count)

    def _window(self, fact: WindowRecorded) -> None:
        shard = (fact.campaign, fact.execution, fact.shard)
        if self.has(*shard, fact.window):
            return
        self._windows[shard][fact.window // _BITS] |= 1 << fact.window % _BITS
        if fact.shard_completed:
            self._completed.add(shard)
        book = self._sent[fact.campaign]
        for row in fact.rows:
            lines = [ALL, _message(row.message, row.variation), *map(_segment, set(row.segments))]
            for line, metric in product(lines, _metrics_of(row)):
                self._count(book, line, metric, row.minute, row.number)
            if row.error:
                line = Line(Kind.ERROR, row.outcome, row.error)
                self._count(book, line, Metric.COUNT, row.minute, row.number)
            self._reach(fact.campaign, row)

    def _reach(self, campaign: str, row: TallyRow) -> None:
        for at in range(0, len(row.contacts), REFERENCE_BYTES):
            contact = row.contacts[at : at + REFERENCE_BYTES]
            if not self._closed or contact in self._who.get(campaign, ()):
                self._piles[campaign].got(contact, row)

    def _count(self, book: Book, line: Line, metric: str, minute: int, count: int) -> None:
        book.totals[line, str(metric)] += count
        if self._by_minute:
            book.minutes[line, str(metric), minute] += count


def _last(ends: list[End]) -> End:
    """A completion is final; of failures the latest holds."""
    return max(ends, key=lambda end: (end.completed, end.at, end.failed))


def _metrics_of(row: TallyRow) -> list[Metric]:
    if row.outcome == "successful":
        return [Metric.SENT, Metric.DELIVERED]
    if row.outcome == "failed" and row.error not in LOCAL_ERRORS:
        return [Metric.SENT, Metric.FAILED]
    return [Metric(row.outcome)]


def _message(message: str, variation: str) -> Line:
    return Line(Kind.MESSAGE, message, variation)


def _segment(segment: str) -> Line:
    return Line(Kind.SEGMENT, segment)


def _did(person: Person, window_ms: int) -> Iterator[tuple[Line, str, int, int]]:
    """Everything that counts of a person's clicks and conversions: line, metric, when (ms), how much."""
    clicked = [(click.at, click.message) for click in person.clicks.values()]
    converted = [
        (conversion.at, message, conversion)
        for conversion in person.conversions.values()
        if (message := _earned_by(conversion, person, window_ms)) is not None
    ]
    for line, is_in in _lines(person):
        clicks = [at for at, message in clicked if is_in(message)]
        conversions = [(at, one) for at, message, one in converted if is_in(message)]
        if clicks:
            yield line, Metric.CLICKED, min(clicks), 1
        if conversions:
            yield line, Metric.CONVERTED, min(at for at, _ in conversions), 1
        if clicks or conversions:
            yield line, Metric.READ, min([*clicks, *(at for at, _ in conversions)]), 1
        for at in clicks:
            yield line, Metric.CLICKED_TOTAL, at, 1
        for at, one in conversions:
            yield line, Metric.CONVERTED_TOTAL, at, 1
            yield line, revenue_in(one.currency), at, one.value


def _lines(person: Person) -> Iterator[tuple[Line, Callable[[str], bool]]]:
    """The lines that a person counts in, and the messages whose clicks and conversions count there."""
    yield ALL, lambda _: True
    for message in {receipt.message for receipt in person.receipts}:
        got = min(receipt for receipt in person.receipts if receipt.message == message)
        yield _message(message, got.variation), message.__eq__
    for segment in {segment for receipt in person.receipts for segment in receipt.segments}:
        yield _segment(segment), lambda _: True


def _earned_by(conversion: Conversion, person: Person, window_ms: int) -> str | None:
    """The message that a conversion counts for; None when it counts nowhere."""

    def in_time(at: int) -> bool:
        return at <= conversion.at <= at + window_ms

    if conversion.click is not None:
        at, message = conversion.click
        return message if in_time(at) else None
    before = [(click.at, click.message) for click in person.clicks.values() if click.at <= conversion.at]
    if before and in_time(max(before)[0]):
        return max(before)[1]
    got = [(receipt.minute * MINUTE_MS, receipt.message) for receipt in person.receipts]
    before = [one for one in got if one[0] <= conversion.at]
    return max(before)[1] if before and in_time(max(before)[0]) else None


def _drop_zeros(counter: Counter[Any]) -> None:
    for key in [key for key, count in counter.items() if not count]:
        del counter[key]
