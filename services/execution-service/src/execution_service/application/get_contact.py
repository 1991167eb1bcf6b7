"""Show a contact."""

from execution_service.application.ports import Contacts
from execution_service.domain.contact import Contact
from execution_service.domain.errors import ContactNotFound


async def get_contact(org: str, contact_id: str, *, contacts: Contacts) -> Contact:
    """The contact. Raises ContactNotFound."""
    found = await contacts.get(org, contact_id)
    if found is None:
        raise ContactNotFound
    return found
