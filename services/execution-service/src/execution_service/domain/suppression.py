"""Who is never written to, whatever a campaign says; one answer for sending and for foretelling."""

from execution_service.domain.contact import Addressee, Contact

SUPPRESSIONS = ("OPTED_OUT",)
"""All codes that `suppression` may answer."""


def suppression(contact: Contact | Addressee) -> str | None:
    """The code why the contact is skipped; None when it may be written to."""
    return "OPTED_OUT" if contact.opted_out else None
