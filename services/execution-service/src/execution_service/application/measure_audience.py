"""Count audiences in the index.

A chunk's numbers hold as long as its version does, so they are remembered by rule and chunk: a changed
contact costs one chunk, a rule that nobody asked for yet one pass over the columns that it looks at.
Memory: REMEMBERED numbers of four bytes, and READ_AT_ONCE chunks of columns while counting.
"""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Mapping, Sequence

from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.ports_audience import AudienceChunks
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import (
    COUNTED_FIELDS,
    Counts,
    Tally,
    count,
    positions_of,
    select,
    skipped,
    testers,
    width,
)
from execution_service.domain.sampling import in_sample
from execution_service.domain.suppression import SUPPRESSIONS

READ_AT_ONCE = 16
REMEMBERED = 10_000_000
"""Of a million contacts a rule has some 3,000."""


class _Known:
    """What one rule's count remembers: a line of each chunk's version and numbers, by chunk number."""

    def __init__(self, rule: AudienceRule) -> None:
        self._line = 1 + width(rule)
        self._cells = array("I")

    def __len__(self) -> int:
        return len(self._cells)

    def version(self, number: int) -> int:
        """Of the chunk when it was counted; 0: it was not."""
        at = number * self._line
        return self._cells[at] if at < len(self._cells) else 0

    def note(self, number: int, version: int, counts: Counts) -> None:
        """Remember a chunk's numbers."""
        at = number * self._line
        if at >= len(self._cells):
            self._cells.frombytes(bytes((at + self._line - len(self._cells)) * self._cells.itemsize))
        self._cells[at : at + self._line] = array("I", (version, *counts))

    def nobody(self, number: int, version: int) -> bool:
        """Whether the rule has nobody in this version of the chunk."""
        return self.version(number) == version and self._cells[number * self._line + 1] == 0

    def sums(self) -> list[int]:
        """Over all chunks."""
        return [sum(self._cells[column :: self._line]) for column in range(1, self._line)]


class MeasureAudience:
    """Counts rules. `catch_up_seconds`: how long a count that must be current waits for the index."""

    def __init__(self, *, chunks: AudienceChunks, fold: FoldContacts, catch_up_seconds: float) -> None:
        self._chunks = chunks
        self._fold = fold
        self._seconds = catch_up_seconds
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def current(self, org: str, rule: AudienceRule) -> Tally:
        """Of the contacts as they are now.

        While more changes wait than can be folded in the time for it (an import), they are not in yet.
        """
        await self._fold.catch_up_within(org, self._seconds)
        return (await self.tallies(org, [rule]))[0]

    async def tallies(self, org: str, rules: Sequence[AudienceRule]) -> list[Tally]:
        """Of the contacts as the index has them."""
        versions = await self._chunks.versions(org)
        asked = {_name(rule): rule for rule in rules if not rule.empty}
        known = {name: self._recall(org, name, rule) for name, rule in asked.items()}
        await self._count(org, asked, known, versions)
        tallies = [
            Tally.of(rule, [0] * width(rule) if rule.empty else known[_name(rule)].sums()) for rule in rules
        ]
        self._remember(org, known)
        return tallies

    async def sample(
        self, org: str, rule: AudienceRule, *, testers_only: bool, seed: str, percentage: float
    ) -> tuple[int, dict[str, int]]:
        """How many a sample takes, and how many of them would be skipped, by code.

        It costs a hash for every contact that `rule` admits, so it is for audiences of some ten thousands.
        """
        total, suppressed = 0, dict.fromkeys(SUPPRESSIONS, 0)
        known, versions = self._known.get((org, _name(rule))), await self._chunks.versions(org)
        # Where a count has just found nobody there is nothing to hash.
        numbers = [
            number for number, version in versions.items() if not (known and known.nobody(number, version))
        ]
        for begin in range(0, len(numbers), READ_AT_ONCE):
            some = numbers[begin : begin + READ_AT_ONCE]
            for stored in await self._chunks.read(org, some, rule.fields | COUNTED_FIELDS, ids=True):
                chunk = stored.chunk
                meant = select(chunk.columns, rule)
                if testers_only:
                    meant &= testers(chunk.columns)
                taken = 0
                for place in positions_of(meant):
                    taken |= in_sample(seed, chunk.ids[place], percentage) << place
                total += taken.bit_count()
                for code in SUPPRESSIONS:
                    suppressed[code] += (taken & skipped(chunk.columns, code)).bit_count()
        return total, suppressed

    async def _count(
        self,
        org: str,
        asked: Mapping[str, AudienceRule],
        known: Mapping[str, _Known],
        versions: Mapping[int, int],
    ) -> None:
        """Make `known` tell of every chunk as it is in `versions`, or later."""
        stale = {
            number: names
            for number, version in versions.items()
            if (names := [name for name in asked if known[name].version(number) != version])
        }
        numbers = list(stale)
        for begin in range(0, len(numbers), READ_AT_ONCE):
            some = numbers[begin : begin + READ_AT_ONCE]
            fields = {field for number in some for name in stale[number] for field in asked[name].fields}
            for stored in await self._chunks.read(org, some, fields | COUNTED_FIELDS):
                await asyncio.sleep(0)  # a hundred rules take a chunk some milliseconds: others go first
                for name in stale[stored.number]:
                    counts = count(stored.chunk.columns, asked[name])
                    known[name].note(stored.number, stored.version, counts)

    def _recall(self, org: str, name: str, rule: AudienceRule) -> _Known:
        """Taken out, so that a count of the same rule at the same time works on another one."""
        if (org, name) in self._known:
            return self._known.pop((org, name))
        return _Known(rule)

    def _remember(self, org: str, known: Mapping[str, _Known]) -> None:
        for name, chunks in known.items():
            self._known[org, name] = chunks
        left = sum(map(len, self._known.values()))
        while left > REMEMBERED:
            left -= len(self._known.popitem(last=False)[1])


def _name(rule: AudienceRule) -> str:
    # Not the rule itself: to Python a rule about 1 equals one about true.
    return repr(rule)
