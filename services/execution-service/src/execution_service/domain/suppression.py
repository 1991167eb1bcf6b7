"""Who is not written to, whatever a campaign says; one answer for sending and for foretelling."""

from execution_service.domain.contact import Addressee, Contact, Unreachable

SUPPRESSIONS = ("OPTED_OUT", "BLOCKED", "DEACTIVATED", "NO_CHAT")
"""All codes that `suppression` may answer, in the order in which they are looked for."""

_UNREACHABLE_BY: dict[str, Unreachable] = {
    "USER_BLOCKED": "BLOCKED",
    "BOT_KICKED": "BLOCKED",
    "USER_DEACTIVATED": "DEACTIVATED",
    "CHAT_NOT_FOUND": "NO_CHAT",
}


def suppression(contact: Contact | Addressee, *, named: bool = False) -> str | None:
    """The code why the contact is skipped; None when it may be written to.

    `named`: it was asked for by its last outcome (a retry), so it is tried although it could not be reached.
    """
    if contact.opted_out:
        return "OPTED_OUT"
    return None if named else contact.unreachable


def unreachable_by(code: str | None) -> Unreachable | None:
    """What the error code of a message says of its chat; None: nothing."""
    return _UNREACHABLE_BY.get(code) if code else None
