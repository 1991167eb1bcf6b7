"""Create a contact or change it."""

from collections.abc import Mapping

from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from execution_service.application.ports import Contacts, Segments
from execution_service.application.run_again import run_again
from execution_service.domain.contact import Contact, change_contact
from execution_service.domain.contact_fields import read_changes, read_contact_id
from execution_service.domain.segment import refuse_filters


async def put_contact(
    org: str,
    contact_id: str,
    patch: Mapping[str, object],
    *,
    contacts: Contacts,
    segments: Segments,
    transactions: Transactions,
    clock: Clock,
) -> Contact:
    """Lay `patch` (JSON Merge Patch, RFC 7396) over the contact, or make it. Raises FieldErrors."""
    checked_id, changes = read_contact_id(contact_id), read_changes(patch)
    filters = await segments.filters_of(org, changes.get("segments", ()))

    async def work(tx: Tx) -> Contact:
        before = await contacts.get(org, checked_id, tx=tx)
        refuse_filters(changes, filters, before)
        after = change_contact(before, changes, org=org, contact_id=checked_id, now=clock.now())
        if before is None:
            await contacts.insert(tx, [after])
        elif after is not before:
            await contacts.replace(tx, [after])
        return after

    return await run_again(transactions, work)
