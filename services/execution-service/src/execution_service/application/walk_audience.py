"""An audience walked by its contacts' ordinals, each contact once.

The walk ends at the greatest ordinal that there was when it began; its keys carry that end, so a walk that
goes on after a crash or a pause ends there too. Ordinals are never given twice and a contact keeps its own,
so nobody is met twice, not even who is erased and comes back meanwhile. Who was stored before is met.
Memory: READ_AT_ONCE chunks of ids and columns.
"""

from collections.abc import AsyncIterator

from contracts.events.campaign import AudienceDefinition

from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.ports import Member
from execution_service.application.ports_audience import AudienceChunks, SegmentFilters
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import CHUNK_SIZE, TESTER, positions_of, select, testers

READ_AT_ONCE = 4


class WalkAudience:
    """The port `Audience` of planning, over the index."""

    def __init__(self, *, chunks: AudienceChunks, fold: FoldContacts, segments: SegmentFilters) -> None:
        self._chunks = chunks
        self._fold = fold
        self._segments = segments

    async def rule(self, org: str, audience: AudienceDefinition) -> AudienceRule:
        """What `audience` means now. Raises FieldErrors."""
        return await resolve_rule(org, audience, segments=self._segments)

    async def members(
        self, org: str, rule: AudienceRule, *, testers_only: bool, after: str
    ) -> AsyncIterator[Member]:
        """Whom `rule` admits behind the key `after` ("" to start), by key.

        Members without a contact tell that the walk goes on, however few it finds.
        """
        if rule.empty:
            return
        if after:
            last, until = map(int, after.split("/"))
        else:
            last, until = 0, await self._chunks.last_ordinal(org)
        async for _ in self._fold.catch_up(org):
            yield Member(after, None)
        numbers = [
            number
            for number in await self._chunks.versions(org)
            if (last + 1) // CHUNK_SIZE <= number <= until // CHUNK_SIZE
        ]
        for begin in range(0, len(numbers), READ_AT_ONCE):
            some = numbers[begin : begin + READ_AT_ONCE]
            for stored in await self._chunks.read(org, some, {*rule.fields, TESTER}, ids=True):
                meant = select(stored.chunk.columns, rule)
                if testers_only:
                    meant &= testers(stored.chunk.columns)
                first = stored.number * CHUNK_SIZE
                for position in positions_of(meant):
                    if last < first + position <= until:
                        yield Member(f"{first + position:012}/{until:012}", stored.chunk.ids[position])
            yield Member(f"{min(some[-1] * CHUNK_SIZE + CHUNK_SIZE - 1, until):012}/{until:012}", None)
