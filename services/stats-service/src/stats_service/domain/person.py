"""A person of a campaign: what one contact did with its messages, and what that counts.

Mental model: a person is made by the first click or conversion, and is all that is known of them: which
messages reached them, every click, every conversion. What a person counts is a function of that and of
nothing else, so a new fact adds the difference of what it counted before and after: in any order, any number
of times, the same facts end in the same numbers. Unique numbers are counted in the minute of a person's
first, so buckets add up to any period and nobody counts twice in one.

`read` is the first interaction, since Telegram tells bots of no reading. A conversion counts when a message
led to it within the window: the one of the click that it names; or of the person's last click before it; or
the last one that reached the person before it.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from stats_service.domain.dimensions import ALL, Cell, Kind, Line, Metric, revenue_in
from stats_service.domain.facts import ClickTold

MINUTE_MS = 60_000
MOST_CLICKS = 500
MOST_CONVERSIONS = 1_000


class Received(NamedTuple):
    """A message that reached the person in a minute, as a contact of these segments."""

    minute: int
    message: str
    variation: str
    segments: tuple[str, ...]


class Click(NamedTuple):
    """A click on a button of a message, at `at` (ms). `name` is the reference of its event."""

    at: int
    name: bytes
    message: str


class Conversion(NamedTuple):
    """Something of `value` (money in `MONEY_UNITS`ths), at `at` (ms). `name` is the reference of its id."""

    at: int
    name: bytes
    value: int
    currency: str
    click: ClickTold | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """What is known of a contact; each part in order, the earliest first."""

    received: tuple[Received, ...] = ()
    clicks: tuple[Click, ...] = ()
    conversions: tuple[Conversion, ...] = ()

    def reached(self, more: Sequence[Received]) -> "Person":
        """Other messages reached them, too."""
        return Person(tuple(sorted({*self.received, *more})), self.clicks, self.conversions)

    def clicked(self, click: Click) -> "Person":
        """They clicked. The same person when that was known, or when they have clicked too often."""
        clicks = _with(self.clicks, click, MOST_CLICKS)
        return self if clicks is self.clicks else Person(self.received, clicks, self.conversions)

    def converted(self, conversion: Conversion) -> "Person":
        """They converted. The same person when that was known, or when they have done so too often."""
        conversions = _with(self.conversions, conversion, MOST_CONVERSIONS)
        return self if conversions is self.conversions else Person(self.received, self.clicks, conversions)


Did = TypeVar("Did", Click, Conversion)


def _with(done: tuple[Did, ...], one: Did, most: int) -> tuple[Did, ...]:
    """`done` and `one`: the earliest `most` of them, so that it does not depend on what came first."""
    if any(item.name == one.name for item in done):
        return done
    if len(done) == most and one > done[-1]:
        return done
    more = list(done)
    insort(more, one)
    return tuple(more[:most])


def contributions(person: Person, window_ms: int) -> Counter[Cell]:
    """What the person counts; nothing when they did nothing that counts."""
    clicks = [(click.at, click.message) for click in person.clicks]
    conversions = [
        (conversion, message)
        for conversion in person.conversions
        if (message := _led_by(conversion, person, window_ms)) is not None
    ]
    counted: Counter[Cell] = Counter()
    for line, message in _lines(person):
        clicked = [at for at, of in clicks if message in (None, of)]
        converted = [conversion for conversion, of in conversions if message in (None, of)]
        for at, metric, number in _of_line(clicked, converted):
            counted[Cell(at // MINUTE_MS, line, metric)] += number
    return counted


def difference(before: Mapping[Cell, int], after: Mapping[Cell, int]) -> Iterator[tuple[Cell, int]]:
    """What is to be added to `before`'s numbers to make them `after`'s."""
    for cell in before.keys() | after.keys():
        number = after.get(cell, 0) - before.get(cell, 0)
        if number:
            yield cell, number


def _lines(person: Person) -> Iterator[tuple[Line, str | None]]:
    """Where the person counts, and the message of which: None means of all."""
    yield ALL, None
    variations: dict[str, str] = {}
    for received in person.received:
        variations.setdefault(received.message, received.variation)
    for message, variation in variations.items():
        yield Line(Kind.MESSAGE, message, variation), message
    for segment in {segment for received in person.received for segment in received.segments}:
        yield Line(Kind.SEGMENT, segment), None


def _of_line(clicked: Sequence[int], converted: Sequence[Conversion]) -> Iterator[tuple[int, str, int]]:
    """(ms, metric, number) of clicks and counted conversions, both the earliest first."""
    for at in clicked:
        yield at, Metric.CLICKED_TOTAL, 1
    for conversion in converted:
        yield conversion.at, Metric.CONVERTED_TOTAL, 1
        yield conversion.at, revenue_in(conversion.currency), conversion.value
    if clicked:
        yield clicked[0], Metric.CLICKED, 1
    if converted:
        yield converted[0].at, Metric.CONVERTED, 1
    first = [*clicked[:1], *(conversion.at for conversion in converted[:1])]
    if first:
        yield min(first), Metric.READ, 1


def _led_by(conversion: Conversion, person: Person, window_ms: int) -> str | None:
    """The message that led to a conversion; None when none did."""
    if conversion.click is not None:
        named = conversion.click
        return named.message if named.at <= conversion.at <= named.at + window_ms else None
    clicks = [(click.at, click.message) for click in person.clicks]
    received = [(received.minute * MINUTE_MS, received.message) for received in person.received]
    for moments in (clicks, received):
        at, message = max((item for item in moments if item[0] <= conversion.at), default=(None, ""))
        if at is not None and conversion.at <= at + window_ms:
            return message
    return None
