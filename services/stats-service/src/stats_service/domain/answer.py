"""What a campaign's statistics say: the parts of an answer, made of sums.

Every number is a sum of whole cells, and never below 0: a retry's correction may be counted before what it
corrects. Rates are percent of the messages sent, one decimal, 0 when none was. Unique numbers were counted
in the minute of the person's first, so that they add up like all others.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from contracts.outcome_codes import MESSAGES

from stats_service.domain.dimensions import MONEY_UNITS, REVENUE, Kind, Line, Metric, revenue_in
from stats_service.domain.intervals import wilson
from stats_service.domain.numbers import cost_of
from stats_service.domain.question import COUNTED, OVERVIEW
from stats_service.domain.series import Counts

MEASUREMENT: Final = {
    **dict.fromkeys(OVERVIEW, "measured"),
    "read": "inferred",
    **dict.fromkeys(("converted", "convertedTotal", "revenue", "revenueByCurrency"), "reported"),
    "cost": "calculated",
}
"""Where each number comes from: measured (Telegram's answers, and links that we lead on ourselves),
inferred (from something else that we measured), reported (by the organisation), calculated (from others)."""


Overview: TypeAlias = dict[str, int | float | dict[str, float]]
"""Field → number, or numbers by currency."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Percent of the messages sent."""

    delivery_rate: float
    read_rate: float
    click_rate: float
    conversion_rate: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """What happened in a stretch of time that is called `date`."""

    date: str
    sent: int
    delivered: int
    conversions: int
    read: int
    clicked: int
    revenue: float


@dataclass(frozen=True, slots=True)
class Reach:
    """Messages to some contacts, and what came of them."""

    sent: int
    delivered: int
    click_rate: float
    conversion_rate: float


@dataclass(frozen=True, slots=True)
class SegmentNumbers:
    """Of a segment's contacts."""

    segment_id: str
    name: str
    performance: Reach


@dataclass(frozen=True, slots=True)
class SureReach(Reach):
    """The same, and where its rates lie with 95 % confidence, in percent: conversions, and clicks."""

    interval: tuple[float, float]
    click_interval: tuple[float, float]


@dataclass(frozen=True, slots=True)
class VariationNumbers:
    """Of a message's variation (None: its own text)."""

    message_id: str
    variation_id: str | None
    performance: SureReach


@dataclass(frozen=True, slots=True)
class ErrorNumbers:
    """How many outcomes had an error code, and what it says to people."""

    outcome: str
    code: str
    count: int
    message: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What the period's messages cost, and what is left of the budget after all messages of all time."""

    total: float
    per_message: float
    currency: str
    budget: float | None
    remaining: float | None


def overview(counts: Counts, currency: str, fields: Iterable[str]) -> Overview:
    """The fields that were asked for, as the API calls them; `revenue` is in `currency`."""
    found: Overview = {name: shown(counts, metric) for name, metric in COUNTED.items()}
    found["revenue"] = money(counts, revenue_in(currency))
    earned = sorted(metric for metric, units in counts.items() if metric.startswith(REVENUE) and units > 0)
    found["revenueByCurrency"] = {metric.removeprefix(REVENUE): money(counts, metric) for metric in earned}
    wanted = set(fields)
    return {name: found[name] for name in OVERVIEW if name in wanted}


def rates(counts: Counts) -> Rates:
    """The four rates."""
    return Rates(
        percent(counts, Metric.DELIVERED),
        percent(counts, Metric.READ),
        percent(counts, Metric.CLICKED),
        percent(counts, Metric.CONVERTED),
    )


def timeline(dates: Sequence[str], sums: Sequence[Counts], currency: str) -> list[Bucket]:
    """The buckets; empty ones too."""
    revenue = revenue_in(currency)
    return [
        Bucket(
            date,
            sent=shown(counts, Metric.SENT),
            delivered=shown(counts, Metric.DELIVERED),
            conversions=shown(counts, Metric.CONVERTED),
            read=shown(counts, Metric.READ),
            clicked=shown(counts, Metric.CLICKED),
            revenue=money(counts, revenue),
        )
        for date, counts in zip(dates, sums, strict=True)
    ]


def segments(
    lines: Mapping[Line, Counts], audience: Sequence[str], names: Mapping[str, str]
) -> list[SegmentNumbers]:
    """The audience's segments in its order, then others that have numbers; without a name by their ids."""
    counted = {line.first: counts for line, counts in lines.items() if _any(counts)}
    others = sorted(counted.keys() - set(audience))
    return [
        SegmentNumbers(segment, names.get(segment) or segment, Reach(*_reach(counted.get(segment, {}))))
        for segment in dict.fromkeys((*audience, *others))
    ]


def variations(
    lines: Mapping[Line, Counts], messages: Sequence[tuple[str, Sequence[str]]]
) -> list[VariationNumbers]:
    """The campaign's messages in their order, each with its variations; then others that have numbers.

    A message's own text is left out when it has variations and no numbers: they may leave it no weight.
    """
    counted = {line: counts for line, counts in lines.items() if _any(counts)}
    known = [
        line
        for message, of_it in messages
        for own in (Line(Kind.MESSAGE, message),)
        for line in (
            *((own,) if own in counted or not of_it else ()),
            *(Line(Kind.MESSAGE, message, variation) for variation in of_it),
        )
    ]
    return [_variation(line, counted.get(line, {})) for line in dict.fromkeys((*known, *sorted(counted)))]


def _variation(line: Line, counts: Counts) -> VariationNumbers:
    intervals = (_interval(counts, Metric.CONVERTED), _interval(counts, Metric.CLICKED))
    return VariationNumbers(line.first, line.second or None, SureReach(*_reach(counts), *intervals))


def _reach(counts: Counts) -> tuple[int, int, float, float]:
    sent, delivered = shown(counts, Metric.SENT), shown(counts, Metric.DELIVERED)
    return sent, delivered, percent(counts, Metric.CLICKED), percent(counts, Metric.CONVERTED)


def errors(lines: Mapping[Line, Counts]) -> list[ErrorNumbers]:
    """The codes, most frequent first."""
    found = [
        ErrorNumbers(line.first, line.second, count, MESSAGES.get(line.second, line.second))
        for line, counts in lines.items()
        if (count := shown(counts, Metric.COUNT))
    ]
    return sorted(found, key=lambda error: (-error.count, error.code, error.outcome))


def cost(sent: int, sent_ever: int, per_message: float, currency: str, budget: float | None) -> Cost:
    """`sent` in the period and `sent_ever` at the present price; `remaining` is below 0 when overspent."""
    remaining = None
    if budget is not None:
        remaining = float(Fraction(repr(budget)) - Fraction(repr(cost_of(sent_ever, per_message))))
    return Cost(cost_of(sent, per_message), per_message, currency, budget, remaining)


def shown(counts: Counts, metric: str) -> int:
    """A number as it is shown."""
    return max(counts.get(metric, 0), 0)


def money(counts: Counts, metric: str) -> float:
    """An amount in whole units of its currency."""
    return shown(counts, metric) / MONEY_UNITS


def percent(counts: Counts, metric: str) -> float:
    """Percent of the messages sent, one decimal; 0 when none was."""
    sent = shown(counts, Metric.SENT)
    return round(100 * shown(counts, metric) / sent, 1) if sent else 0.0


def _interval(counts: Counts, metric: str) -> tuple[float, float]:
    low, high = wilson(shown(counts, metric), shown(counts, Metric.SENT))
    return round(100 * low, 1), round(100 * high, 1)


def _any(counts: Counts) -> bool:
    return any(count > 0 for count in counts.values())
