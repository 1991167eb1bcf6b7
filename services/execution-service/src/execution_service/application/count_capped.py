"""How many of an audience the frequency cap lets have no message now.

Contacts' sends lie in blocks by ordinal, as the index's chunks do, so it is counted chunk by chunk: those
over the cap, whom the rule admits, less those who are skipped for another reason anyway.
"""

from collections.abc import Iterable
from datetime import datetime

from execution_service.application.ports_audience import AudienceChunks
from execution_service.application.ports_counting import RecentSends
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import CHUNK_SIZE, SUPPRESSION, select, skipped
from execution_service.domain.org_settings import FrequencyCap
from execution_service.domain.suppression import SUPPRESSIONS

CHUNKS_AT_ONCE = 16


class CountCapped:
    """Counts in the index as it is."""

    def __init__(self, *, chunks: AudienceChunks, sends: RecentSends) -> None:
        self._chunks = chunks
        self._sends = sends

    async def __call__(self, org: str, rule: AudienceRule, cap: FrequencyCap, *, now: datetime) -> int:
        """Of those whom `rule` admits."""
        numbers = list(await self._chunks.versions(org))
        total = 0
        for begin in range(0, len(numbers), CHUNKS_AT_ONCE):
            some = numbers[begin : begin + CHUNKS_AT_ONCE]
            ordinals = range(some[0] * CHUNK_SIZE, (some[-1] + 1) * CHUNK_SIZE)
            recent = await self._sends.recent(org, cap, ordinals, now=now)
            capped = _by_chunk(ordinal for ordinal, count in recent.items() if count >= cap.messages)
            for stored in await self._chunks.read(org, list(capped), rule.fields | {SUPPRESSION}):
                columns = stored.chunk.columns
                meant = select(columns, rule) & capped[stored.number]
                for code in SUPPRESSIONS:
                    meant &= ~skipped(columns, code)
                total += meant.bit_count()
        return total


def _by_chunk(ordinals: Iterable[int]) -> dict[int, int]:
    """The places of the chunks in which somebody is, as bits."""
    found: dict[int, int] = {}
    for ordinal in ordinals:
        number, place = divmod(ordinal, CHUNK_SIZE)
        found[number] = found.get(number, 0) | 1 << place
    return found
