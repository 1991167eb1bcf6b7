"""Read what an answer needs, within one transaction, and no more; and put it together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from service_kit.ports import Tx

from stats_service.application.ports_reading import Books, Stamp
from stats_service.domain import answer as parts
from stats_service.domain.dimensions import ALL, Kind, Line, Metric, revenue_in
from stats_service.domain.periods import Buckets, Period, buckets, days_between
from stats_service.domain.question import Part, Question
from stats_service.domain.series import Counts, Row, by_bucket, by_line, span

SHOWN_IN_TIME = (Metric.SENT, Metric.DELIVERED, Metric.CONVERTED, Metric.READ, Metric.CLICKED)


@dataclass(slots=True)
class Answer:
    """The parts that were asked for; None for the others."""

    overview: parts.Overview | None = None
    performance: parts.Rates | None = None
    timeline: Sequence[parts.Bucket] | None = None
    segments: Sequence[parts.SegmentNumbers] | None = None
    variations: Sequence[parts.VariationNumbers] | None = None
    errors: Sequence[parts.ErrorNumbers] | None = None
    cost: parts.Cost | None = None
    measurement: Mapping[str, str] = field(default_factory=lambda: parts.MEASUREMENT)
    names: Mapping[str, str] = field(default_factory=dict)
    """The names of segments that were found."""


async def make_answer(tx: Tx, stamp: Stamp, question: Question, *, now: datetime, books: Books) -> Answer:
    """The statistics of the campaign behind `stamp`."""
    reading = _Reading(tx, stamp, question, now, books)
    wanted, found = question.parts, Answer()
    if wanted & {Part.OVERVIEW, Part.PERFORMANCE, Part.TIMELINE, Part.COST}:
        await _whole(reading, found)
    if Part.SEGMENTS in wanted:
        lines = await reading.lines(Kind.SEGMENT)
        asked = {*stamp.segments, *(line.first for line in lines)}
        found.names = await books.names(stamp.org, asked, tx) if asked else {}
        found.segments = parts.segments(lines, stamp.segments, found.names)
    if Part.VARIATIONS in wanted:
        found.variations = parts.variations(await reading.lines(Kind.MESSAGE), stamp.messages)
    if Part.ERRORS in wanted:
        found.errors = parts.errors(await reading.lines(Kind.ERROR))
    return found


async def _whole(reading: "_Reading", found: Answer) -> None:
    """The parts that are made of the whole campaign's line."""
    stamp, wanted = reading.stamp, reading.question.parts
    counts, found.timeline = await reading.whole(with_timeline=Part.TIMELINE in wanted)
    if Part.OVERVIEW in wanted:
        found.overview = parts.overview(counts, stamp.currency, reading.question.fields)
    if Part.PERFORMANCE in wanted:
        found.performance = parts.rates(counts)
    if Part.COST in wanted:
        ever = await reading.ever(Kind.ALL)
        sent, sent_ever = (parts.shown(some, Metric.SENT) for some in (counts, ever.get(ALL, {})))
        found.cost = parts.cost(sent, sent_ever, stamp.cost_per_message, stamp.currency, stamp.budget)


class _Reading:
    """Reads for one answer."""

    def __init__(self, tx: Tx, stamp: Stamp, question: Question, now: datetime, books: Books) -> None:
        self.stamp = stamp
        self.question = question
        self._tx = tx
        self._books = books
        self._ever: dict[Kind, Mapping[Line, Counts]] = {}
        self._limits = None
        if question.period is not Period.ALL:
            self._limits = buckets(question.period, question.zone, now)

    async def ever(self, kind: Kind) -> Mapping[Line, Counts]:
        """What the lines of a kind counted, ever."""
        if kind not in self._ever:
            self._ever[kind] = await self._books.totals(self._tx, self.stamp, kind)
        return self._ever[kind]

    async def lines(self, kind: Kind) -> Mapping[Line, Counts]:
        """What the lines of a kind counted in the period."""
        if self._limits is None:
            return await self.ever(kind)
        rows = await self._rows(kind, self._limits)
        return by_line(rows, self._limits.first, self._limits.last)

    async def whole(self, *, with_timeline: bool) -> tuple[Counts, list[parts.Bucket] | None]:
        """What the whole campaign counted in the period, and by bucket.

        The buckets of all time are the days from the first that shows a number to the last.
        """
        if self._limits is None:
            counts = (await self.ever(Kind.ALL)).get(ALL, {})
            return counts, await self._days() if with_timeline else None
        rows = await self._rows(Kind.ALL, self._limits)
        counts = by_line(rows, self._limits.first, self._limits.last).get(ALL, {})
        return counts, self._timeline(rows, self._limits) if with_timeline else None

    async def _days(self) -> list[parts.Bucket]:
        shown = (*SHOWN_IN_TIME, revenue_in(self.stamp.currency))
        rows = await self._books.quarters(self._tx, self.stamp, Kind.ALL, None, shown)
        counted = span(rows)
        return [] if counted is None else self._timeline(rows, days_between(self.question.zone, *counted))

    def _timeline(self, rows: Sequence[Row], limits: Buckets) -> list[parts.Bucket]:
        return parts.timeline(limits.dates, by_bucket(rows, limits.edges), self.stamp.currency)

    async def _rows(self, kind: Kind, limits: Buckets) -> Sequence[Row]:
        between = (limits.first, limits.last)
        if self.question.period is Period.HOUR:
            return await self._books.minutes(self._tx, self.stamp, kind, between)
        return await self._books.quarters(self._tx, self.stamp, kind, between)
