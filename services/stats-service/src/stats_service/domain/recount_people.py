"""What people did and got, on piles: some ten bytes for each fact, as there may be millions.

Mental model: a fact about a person is thrown on its campaign's pile as a record of fixed length; words are
kept once and named by a number. When all are there, a pile is dealt out by contacts into small heaps, and
the persons of one heap at a time are made from it.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from struct import Struct
from typing import Any, NamedTuple

from stats_service.domain.facts import Clicked, Converted, TallyRow

MOST_CLICKS, MOST_CONVERSIONS = 500, 1_000
"""Of one person: more is no person's doing, and is not counted."""
HEAP = 2_000
"""Records, about."""
_RECEIPT = Struct("<8sqIII")
_CLICK = Struct("<8s8sqI")
_CONVERSION = Struct("<8s8sqqI?qI")


class Receipt(NamedTuple):
    """A message that a person got."""

    minute: int
    message: str
    variation: str
    segments: tuple[str, ...]


class Click(NamedTuple):
    """A click on a message at `at` (ms)."""

    at: int
    event: bytes
    message: str


class Conversion(NamedTuple):
    """One at `at` (ms), and the click that it names: when, and on which message."""

    at: int
    name: bytes
    value: int
    currency: str
    click: tuple[int, str] | None


@dataclass(slots=True)
class Person:
    """What one contact got and did, each once."""

    receipts: set[Receipt] = field(default_factory=set)
    clicks: dict[bytes, Click] = field(default_factory=dict)
    conversions: dict[bytes, Conversion] = field(default_factory=dict)

    def settle(self) -> None:
        """Of more than a person may do, the earliest counts."""
        self.clicks = {click.event: click for click in sorted(self.clicks.values())[:MOST_CLICKS]}
        conversions = sorted(self.conversions.values(), key=lambda one: (one.at, one.name))
        self.conversions = {one.name: one for one in conversions[:MOST_CONVERSIONS]}


class Words:
    """Numbers for words."""

    def __init__(self) -> None:
        self._numbers: dict[Any, int] = {}
        self._words: list[Any] = []

    def number(self, word: Any) -> int:
        """Of `word`, always the same."""
        found = self._numbers.setdefault(word, len(self._words))
        if found == len(self._words):
            self._words.append(word)
        return found

    def __getitem__(self, number: int) -> Any:
        return self._words[number]


class Pile:
    """Of one campaign."""

    def __init__(self, words: Words) -> None:
        self._words = words
        self._records = {kind: bytearray() for kind in (_RECEIPT, _CLICK, _CONVERSION)}

    def got(self, contact: bytes, row: TallyRow) -> None:
        """A message of `row` reached `contact`."""
        number = self._words.number
        words = number(row.message), number(row.variation), number(row.segments)
        self._records[_RECEIPT] += _RECEIPT.pack(contact, row.minute, *words)

    def clicked(self, fact: Clicked) -> None:
        """Somebody did."""
        message = self._words.number(fact.message)
        self._records[_CLICK] += _CLICK.pack(fact.contact, fact.event, fact.at, message)

    def converted(self, fact: Converted) -> None:
        """Somebody did."""
        number, click = self._words.number, fact.click
        record = fact.contact, fact.conversion, fact.at, fact.value, number(fact.currency)
        told = (True, click.at, number(click.message)) if click else (False, 0, 0)
        self._records[_CONVERSION] += _CONVERSION.pack(*record, *told)

    def people(self) -> Iterator[Person | None]:
        """All of them; None now and then between them."""
        heaps = 1 + max(len(records) // kind.size for kind, records in self._records.items()) // HEAP
        dealt = [{kind: bytearray() for kind in self._records} for _ in range(heaps)]
        for kind, records in self._records.items():
            for at in range(0, len(records), kind.size):
                heap = int.from_bytes(records[at : at + 8], "little") % heaps
                dealt[heap][kind] += records[at : at + kind.size]
                if at % (HEAP * kind.size) == 0:
                    yield None
            records.clear()
        while dealt:
            yield from self._made_of(dealt.pop()).values()
            yield None

    def _made_of(self, heap: dict[Struct, bytearray]) -> dict[bytes, Person]:
        word = self._words
        people: dict[bytes, Person] = defaultdict(Person)
        for contact, minute, message, variation, segments in _RECEIPT.iter_unpack(heap[_RECEIPT]):
            receipt = Receipt(minute, word[message], word[variation], word[segments])
            people[contact].receipts.add(receipt)
        for contact, event, at, message in _CLICK.iter_unpack(heap[_CLICK]):
            people[contact].clicks[event] = Click(at, event, word[message])
        for contact, name, at, value, currency, told, click_at, message in _CONVERSION.iter_unpack(
            heap[_CONVERSION]
        ):
            click = (click_at, word[message]) if told else None
            people[contact].conversions[name] = Conversion(at, name, value, word[currency], click)
        return people
