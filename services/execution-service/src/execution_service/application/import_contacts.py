"""Take over contacts from a file of any size, batch by batch.

Each line is what a PUT of that contact would be. A batch is one transaction together with the import's
record of how far it is; so a crash leaves whole batches, and the same file sent again goes on after the last
stored line, with the numbers that it would have had. While one batch is stored the next one is read: memory
holds two.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from service_kit.clock import Clock
from service_kit.errors import FieldErrors
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Contacts, Segments
from execution_service.application.ports_import import ImportRecord, ImportResult, Imports
from execution_service.application.run_again import run_again
from execution_service.domain.contact import Contact, change_contact
from execution_service.domain.segment import refuse_filters

BATCH_LINES = 1000
BATCH_BYTES = 4 * 1024 * 1024
SEGMENTS_REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One line as read: changes for a contact, or the `problem` that makes it useless. `size` in bytes.

    `note`: it is no contact at all, and the problem is only told.
    """

    number: int
    size: int
    contact_id: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None
    note: bool = False


ReadLines = tuple[Sequence[ImportLine], int]
"""Lines, by ascending number, and how many bytes of the file have been read with them."""


class ImportContacts:
    """The use case. `transactions` may take as long as storing a batch does."""

    def __init__(
        self,
        *,
        contacts: Contacts,
        segments: Segments,
        imports: Imports,
        transactions: Transactions,
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self._contacts = contacts
        self._segments = segments
        self._imports = imports
        self._transactions = transactions
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)

    async def begin(self, org: str, import_id: str, *, fingerprint: str, owner: str) -> ImportRecord:
        """The import, ours to go on with behind its line unless it is completed.

        Raises ImportRunning, ImportIdReused.
        """
        now = self._clock.now()
        return await self._imports.begin(
            org, import_id, fingerprint=fingerprint, owner=owner, now=now, until=now + self._lease
        )

    async def run(self, begun: ImportRecord, lines: AsyncIterator[ReadLines]) -> ImportRecord:
        """Store every good line of `lines` behind the record's; later ones of an id win over earlier ones.

        Raises ImportRunning when somebody else took the import over. Whatever it raises, the import can
        be gone on with.
        """
        running = _Running(begun)
        holding = asyncio.create_task(self._hold(running))
        try:
            await self._store_all(running, lines)
            return await self._close(running, "completed")
        except BaseException:
            with suppress(Exception):  # its time runs out otherwise
                await asyncio.shield(self._close(running, "interrupted"))
            raise
        finally:
            holding.cancel()

    async def _store_all(self, running: "_Running", lines: AsyncIterator[ReadLines]) -> None:
        storing: asyncio.Task[None] | None = None
        try:
            async for batch, size in _batches(lines, after=running.record.line):
                if storing is not None:
                    await storing
                storing = asyncio.create_task(self._store(running, batch, size))
            if storing is not None:
                await storing
        finally:
            if storing is not None:  # the stream broke off: what has been read whole is stored all the same
                await asyncio.gather(storing, return_exceptions=True)

    async def _store(self, running: "_Running", batch: Sequence[ImportLine], size: int) -> None:
        before = running.record
        await self._learn_filters(running, batch)

        async def work(tx: Tx) -> ImportRecord:
            now = self._clock.now()
            after = replace(
                before,
                line=batch[-1].number if batch else before.line,
                size=size,
                updated_at=now,
                expires_at=now + self._lease,
                result=before.result.add(await self._store_in(tx, running, batch)),
            )
            await self._imports.advance(tx, after)
            return after

        running.record = await run_again(self._transactions, work)

    async def _learn_filters(self, running: "_Running", batch: Sequence[ImportLine]) -> None:
        named = {name for line in batch for name in line.changes.get("segments", ())}
        unknown = named - running.static - running.filters
        if unknown:
            found = await self._segments.filters_of(running.record.org, list(unknown))
            if len(running.static) > SEGMENTS_REMEMBERED:
                running.static.clear()
            running.filters |= found.keys()
            running.static |= unknown - found.keys()

    async def _store_in(self, tx: Tx, running: "_Running", batch: Sequence[ImportLine]) -> ImportResult:
        org, now, result = running.record.org, self._clock.now(), ImportResult()
        ids = list({line.contact_id for line in batch if line.problem is None})
        before = await self._contacts.by_ids(org, ids, tx=tx) if ids else {}
        after: dict[str, Contact] = dict(before)
        for line in batch:
            known = after.get(line.contact_id)
            if line.problem is not None:
                (result.tell if line.note else result.reject)(line.number, line.problem)
                continue
            try:
                refuse_filters(line.changes, running.filters, known)
                after[line.contact_id] = change_contact(
                    known, line.changes, org=org, contact_id=line.contact_id, now=now
                )
            except FieldErrors as error:
                result.reject(line.number, error.message)
                continue
            if known is None:
                result.imported += 1
            else:
                result.updated += 1
        await self._put(tx, before, after)
        return result

    async def _put(self, tx: Tx, before: Mapping[str, Contact], after: Mapping[str, Contact]) -> None:
        created = [contact for contact_id, contact in after.items() if contact_id not in before]
        changed = [contact for contact_id, contact in before.items() if after[contact_id] is not contact]
        if created:
            await self._contacts.insert(tx, created)
        if changed:
            await self._contacts.replace(tx, [after[contact.contact_id] for contact in changed])

    async def _close(self, running: "_Running", status: Any) -> ImportRecord:
        now = self._clock.now()
        record = replace(running.record, status=status, expires_at=now, updated_at=now)
        await self._imports.close(record)
        return record

    async def _hold(self, running: "_Running") -> None:
        """Keep the import ours while the client takes its time; storing a batch does so too."""
        while True:
            await asyncio.sleep(self._lease.total_seconds() / 3)
            now = self._clock.now()
            if running.record.expires_at - now > self._lease * 2 / 3:
                continue
            with suppress(Exception):  # the next batch finds out
                await self._imports.renew(running.record, until=now + self._lease)


@dataclass(slots=True)
class _Running:
    """An import under way: its record as stored last, and which of the segments it met are filters."""

    record: ImportRecord
    static: set[str] = field(default_factory=set)
    filters: set[str] = field(default_factory=set)


async def _batches(
    lines: AsyncIterator[ReadLines], *, after: int
) -> AsyncIterator[tuple[list[ImportLine], int]]:
    """Lines behind the number `after` in batches, each with the bytes read so far; the last may be empty."""
    batch: list[ImportLine] = []
    weight = size = 0
    async for some, size in lines:
        for line in some:
            if line.number <= after:
                continue
            batch.append(line)
            weight += line.size
            if len(batch) >= BATCH_LINES or weight >= BATCH_BYTES:
                yield batch, size
                batch, weight = [], 0
    yield batch, size
