"""Members of an audience to look at one by one: all of them, or evenly spaced ones that stand for the others.

Contacts lie in the index in the order in which they came, and neighbours are often alike (a file, a country).
So a draw takes chunks at even distances, and of those members at even distances.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

from execution_service.application.ports_audience import AudienceChunks
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import CHUNK_SIZE, TESTER, positions_of, select, testers
from execution_service.domain.sampling import in_sample

CHUNKS_AT_ONCE = 16
CHUNKS_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom of an audience an execution takes: testers, and a sample of `percentage` by `seed`."""

    testers_only: bool
    seed: str
    percentage: float


class Drawn(NamedTuple):
    """A contact by its place in the index and its id."""

    ordinal: int
    contact_id: str


class DrawMembers:
    """Draws from the index as it is."""

    def __init__(self, chunks: AudienceChunks) -> None:
        self._chunks = chunks

    async def all(self, org: str, rule: AudienceRule, choice: Choice) -> list[Drawn]:
        """Everybody whom `choice` takes, in the order of planning."""
        numbers = list(await self._chunks.versions(org))
        return [one async for one in self._walk(org, rule, choice, numbers, every=1)]

    async def some(
        self, org: str, rule: AudienceRule, choice: Choice, *, total: int, about: int
    ) -> list[Drawn]:
        """About so many of the `total` whom `choice` takes."""
        numbers = list(await self._chunks.versions(org))
        distance = -(-len(numbers) // CHUNKS_AT_MOST) or 1
        every = max(1, round(total / distance / about))
        return [one async for one in self._walk(org, rule, choice, numbers[::distance], every=every)]

    async def _walk(
        self, org: str, rule: AudienceRule, choice: Choice, numbers: list[int], *, every: int
    ) -> AsyncIterator[Drawn]:
        passed = 0
        for begin in range(0, len(numbers), CHUNKS_AT_ONCE):
            some = numbers[begin : begin + CHUNKS_AT_ONCE]
            for stored in await self._chunks.read(org, some, {*rule.fields, TESTER}, ids=True):
                chunk, first = stored.chunk, stored.number * CHUNK_SIZE
                meant = select(chunk.columns, rule)
                if choice.testers_only:
                    meant &= testers(chunk.columns)
                places = positions_of(meant)
                for place in places[-passed % every :: every]:
                    if in_sample(choice.seed, chunk.ids[place], choice.percentage):
                        yield Drawn(first + place, chunk.ids[place])
                passed += len(places)
