"""Erase a person.

All that this service keeps of one is the contact: its row, and its places in the audience index, which the
fold takes away moments later. Ledgers, shards and events hold contact ids, which are references: they stay,
and from now on lead to nobody. The event has the other services forget.
"""

from contracts.envelope import new_event
from contracts.events.audience import ContactErased
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.ports import Contacts
from execution_service.application.run_again import run_again
from execution_service.domain.errors import ContactNotFound

SOURCE = "execution-service"


async def erase_contact(
    org: str,
    contact_id: str,
    *,
    contacts: Contacts,
    outbox: Outbox,
    transactions: Transactions,
    clock: Clock,
) -> None:
    """Erase the contact and tell of it, together or not at all. Raises ContactNotFound."""

    async def work(tx: Tx) -> None:
        found = await contacts.get(org, contact_id, tx=tx)
        if found is None:
            raise ContactNotFound
        now = clock.now()
        event = new_event(
            ContactErased(contact_id=contact_id, erased_at=now),
            source=SOURCE,
            subject=f"{org}/{contact_id}",
            org=org,
            time=now,
        )
        await contacts.erase(tx, found)
        await outbox.add(tx, event)

    await run_again(transactions, work)
