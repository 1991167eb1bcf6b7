"""Bring the audience index up to what the contacts are.

Mental model: a change becomes visible together with the contacts that it tells of. A fold that begins after
the change was read sees those contacts, or newer ones; it writes what they are now, not what changed. So a
fold may die anywhere, run twice, or beside another one: two of the same chunk collide on its version, and
the later one begins again and reads again. Only when all chunks of a change are stored is it removed.
Each fold leaves a mark, in its own transaction, that has the organisation's campaigns counted again.
Memory: the changes of a turn (CONTACTS_AT_ONCE numbers and ids) and one chunk.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from service_kit.logging import get_logger
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import AudienceMarks, Contacts
from execution_service.application.ports_audience import AudienceChunks, ContactChange, ContactChanges
from execution_service.domain.audience_columns import CHUNK_SIZE, fold

log = get_logger()
CONTACTS_AT_ONCE = 50_000
CHANGES_AT_ONCE = 50


class FoldContacts:
    """Folds changes into chunks, one transaction for each chunk."""

    def __init__(
        self,
        *,
        changes: ContactChanges,
        chunks: AudienceChunks,
        contacts: Contacts,
        marks: AudienceMarks,
        transactions: Transactions,
    ) -> None:
        self._changes = changes
        self._chunks = chunks
        self._contacts = contacts
        self._marks = marks
        self._transactions = transactions

    async def oldest(self) -> int:
        """Fold the oldest changes of all organisations; how many there were."""
        changes = await self._changes.oldest(CONTACTS_AT_ONCE)
        async for _ in self._fold(changes):
            pass
        return len(changes)

    async def catch_up(self, org: str) -> AsyncIterator[None]:
        """Fold all changes of `org` that are there now; yields after each chunk, for leases to be renewed.

        Who asks for an audience after it is over sees every contact that was acknowledged before.
        """
        waiting = await self._changes.waiting(org)
        for begin in range(0, len(waiting), CHANGES_AT_ONCE):
            some = await self._changes.read(waiting[begin : begin + CHANGES_AT_ONCE])
            async for _ in self._fold(some):
                yield

    async def catch_up_within(self, org: str, seconds: float) -> None:
        """Fold what is there now, as far as it goes in that time."""
        try:
            async with asyncio.timeout(seconds):
                async for _ in self.catch_up(org):
                    pass
        except TimeoutError:
            log.info("audience.behind", org=org)

    async def _fold(self, changes: Sequence[ContactChange]) -> AsyncIterator[None]:
        touched: dict[tuple[str, int], dict[int, str]] = {}
        for change in changes:
            for ordinal, contact_id in change.contacts:
                touched.setdefault((change.org, ordinal // CHUNK_SIZE), {})[ordinal] = contact_id
        for (org, number), people in touched.items():
            await self._fold_chunk(org, number, people)
            yield
        if changes:
            await self._changes.remove(changes)

    async def _fold_chunk(self, org: str, number: int, people: Mapping[int, str]) -> None:
        async def work(tx: Tx) -> None:
            before = await self._chunks.load(tx, org, number)
            found = await self._contacts.by_ids(org, list(set(people.values())), tx=tx)
            # Who was erased and came back has another ordinal: here is nobody any more.
            here = {
                ordinal % CHUNK_SIZE: contact if contact and contact.ordinal == ordinal else None
                for ordinal, contact in ((key, found.get(name)) for key, name in people.items())
            }
            await self._chunks.save(tx, org, before, fold(before.chunk, here))
            await self._marks.add(tx, org)

        await self._transactions.run(work)
