"""Take over contacts from a file of any size, batch by batch.

Each line is what a PUT of that contact would be. A batch is one transaction, so a crash leaves whole
batches, and repeating the file is harmless.
While one batch is stored the next one is read: memory holds two.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from service_kit.clock import Clock
from service_kit.errors import FieldErrors
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Contacts
from execution_service.application.run_again import run_again
from execution_service.domain.contact import Contact, change_contact

BATCH_LINES = 1000
BATCH_BYTES = 4 * 1024 * 1024
MAX_ERRORS = 100


@dataclass(frozen=True, slots=True)
class ImportLine:
    """One line as read: changes for a contact, or the `problem` that makes it useless. `size` in bytes."""

    number: int
    size: int
    contact_id: str = ""
    changes: Mapping[str, Any] = field(default_factory=dict)
    problem: str | None = None


@dataclass(slots=True)
class ImportResult:
    """Lines that made a contact, changed or confirmed one, and were refused; `errors` are the first 100."""

    imported: int = 0
    updated: int = 0
    rejected: int = 0
    errors: list[tuple[int, str]] = field(default_factory=list)

    def add(self, other: "ImportResult") -> None:
        """Count another batch in."""
        self.imported += other.imported
        self.updated += other.updated
        self.rejected += other.rejected
        self.errors += other.errors[: MAX_ERRORS - len(self.errors)]

    def reject(self, line: int, problem: str) -> None:
        """Count a refused line."""
        self.rejected += 1
        if len(self.errors) < MAX_ERRORS:
            self.errors.append((line, problem))


async def import_contacts(
    org: str,
    lines: AsyncIterator[Sequence[ImportLine]],
    *,
    contacts: Contacts,
    transactions: Transactions,
    clock: Clock,
) -> ImportResult:
    """Store every good line of `lines`; later lines win over earlier ones with the same id."""
    result = ImportResult()
    storing: asyncio.Task[ImportResult] | None = None

    async def store(batch: Sequence[ImportLine]) -> ImportResult:
        async def work(tx: Tx) -> ImportResult:
            return await _store(org, batch, tx, contacts, clock.now())

        return await run_again(transactions, work)

    try:
        async for batch in _batches(lines):
            if storing is not None:
                result.add(await storing)
            storing = asyncio.create_task(store(batch))
        if storing is not None:
            result.add(await storing)
    finally:
        if storing is not None:  # the stream broke off: what has been read whole is stored all the same
            await asyncio.gather(storing, return_exceptions=True)
    return result


async def _batches(lines: AsyncIterator[Sequence[ImportLine]]) -> AsyncIterator[list[ImportLine]]:
    batch: list[ImportLine] = []
    size = 0
    async for some in lines:
        for line in some:
            batch.append(line)
            size += line.size
            if len(batch) >= BATCH_LINES or size >= BATCH_BYTES:
                yield batch
                batch, size = [], 0
    if batch:
        yield batch


async def _store(
    org: str, batch: Sequence[ImportLine], tx: Tx, contacts: Contacts, now: datetime
) -> ImportResult:
    result = ImportResult()
    ids = list({line.contact_id for line in batch if line.problem is None})
    before = await contacts.by_ids(org, ids, tx=tx) if ids else {}
    after: dict[str, Contact] = dict(before)
    for line in batch:
        if line.problem is not None:
            result.reject(line.number, line.problem)
            continue
        known = after.get(line.contact_id)
        try:
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
    created = [contact for contact_id, contact in after.items() if contact_id not in before]
    changed = [
        contact for contact_id, contact in after.items() if contact is not before.get(contact_id, contact)
    ]
    if created:
        await contacts.insert(tx, created)
    if changed:
        await contacts.replace(tx, changed)
    return result
