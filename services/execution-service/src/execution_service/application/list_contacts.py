"""Contacts page by page, in the order in which they were stored first.

The audience index is walked chunk by chunk from the cursor, a contact's ordinal: a page costs the same at
the beginning and at the end of a million, and a filter is a set of the chunk's. What few contacts match is
looked for in CHUNKS_AT_MOST chunks; then a page may end early, or be empty, and the next one goes on.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.events.campaign import AudienceDefinition

from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.ports import Contacts
from execution_service.application.ports_audience import AudienceChunks, SegmentFilters, StoredChunk
from execution_service.application.resolve_rule import resolve_rule
from execution_service.domain.audience import AudienceRule
from execution_service.domain.audience_columns import (
    CHUNK_SIZE,
    COUNTED_FIELDS,
    opted_out,
    positions_of,
    select,
    taken,
    testers,
)
from execution_service.domain.contact import Contact
from execution_service.domain.errors_engine import CursorInvalid

CHUNKS_AT_ONCE = 8
CHUNKS_AT_MOST = 64


@dataclass(frozen=True, slots=True)
class ContactQuery:
    """Which contacts: all conditions that are given hold."""

    segment: str | None = None
    tester: bool | None = None
    opted_out: bool | None = None


@dataclass(frozen=True, slots=True)
class ContactPage:
    """Some contacts, and where the next page begins (None: there is none)."""

    contacts: Sequence[Contact]
    next_cursor: str | None


class ListContacts:
    """The use case. `catch_up_seconds`: how long it waits for the index to have what was just stored."""

    def __init__(
        self,
        *,
        contacts: Contacts,
        chunks: AudienceChunks,
        fold: FoldContacts,
        segments: SegmentFilters,
        catch_up_seconds: float,
    ) -> None:
        self._contacts = contacts
        self._chunks = chunks
        self._fold = fold
        self._segments = segments
        self._seconds = catch_up_seconds

    async def page(self, org: str, query: ContactQuery, *, cursor: str | None, limit: int) -> ContactPage:
        """Up to `limit` contacts behind the cursor. Raises CursorInvalid."""
        after = _read_cursor(cursor)
        named = AudienceDefinition(segments=[query.segment] if query.segment else [])
        rule = await resolve_rule(org, named, segments=self._segments)
        await self._fold.catch_up_within(org, self._seconds)
        found, reached = await self._find(org, rule, query, after=after, wanted=limit + 1)
        contacts = await self._contacts.by_ids(org, [name for _, name in found[:limit]])
        # Who was erased a moment ago, maybe to come back with another ordinal, is not here any more.
        shown = [
            contact
            for ordinal, name in found[:limit]
            if (contact := contacts.get(name)) and contact.ordinal == ordinal
        ]
        if len(found) > limit:
            return ContactPage(shown, str(found[limit - 1][0]))
        return ContactPage(shown, None if reached is None else str(reached))

    async def _find(
        self, org: str, rule: AudienceRule, query: ContactQuery, *, after: int, wanted: int
    ) -> tuple[list[tuple[int, str]], int | None]:
        """(ordinal, id) of up to `wanted`, and up to which ordinal the search came; None: to the end."""
        versions = await self._chunks.versions(org)
        numbers = [number for number in versions if number >= (after + 1) // CHUNK_SIZE]
        found: list[tuple[int, str]] = []
        begin, width = 0, 1
        while begin < len(numbers):
            some = numbers[begin : begin + width]
            for stored in await self._chunks.read(org, some, {*rule.fields, *COUNTED_FIELDS}, ids=True):
                found += _matching(stored, rule, query, after=after)
            if len(found) >= wanted:
                return found[:wanted], None
            begin, width = begin + len(some), min(width * 2, CHUNKS_AT_ONCE)
            if begin >= CHUNKS_AT_MOST and begin < len(numbers):
                return found, some[-1] * CHUNK_SIZE + CHUNK_SIZE - 1
        return found, None


def _matching(
    stored: StoredChunk, rule: AudienceRule, query: ContactQuery, *, after: int
) -> Iterator[tuple[int, str]]:
    chunk, first = stored.chunk, stored.number * CHUNK_SIZE
    meant = taken(chunk.ids)
    if query.segment is not None:
        meant &= select(chunk.columns, rule)
    for wanted, having in ((query.tester, testers), (query.opted_out, opted_out)):
        if wanted is not None:
            meant &= having(chunk.columns) if wanted else ~having(chunk.columns)
    for position in positions_of(meant):
        if first + position > after:
            yield first + position, chunk.ids[position]


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19):
        raise CursorInvalid
    return int(cursor)
