"""A contact: a person of an organisation, as Telegram reaches them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from service_kit.errors import Detail, FieldErrors

Scalar = str | int | float | bool
Changes = Mapping[str, Any]
"""Attribute of `Contact` → its checked new value; `attributes` may hold None for keys to remove."""

Unreachable = Literal["BLOCKED", "DEACTIVATED", "NO_CHAT"]
"""Why the last message did not arrive, and the next one would not: the person blocked the bot (or the group
removed it), has no account any more, or Telegram knows no such chat."""

CONTACT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}")
MAX_ATTRIBUTES = 100


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact. `contact_id` is unique within `org`; `telegram_chat_id` is a 64-bit integer, not 0.

    `ordinal`: its place in the audience index, from 1, given when it is stored; never given again, so a
    person who was erased and comes back has another one. 0: not stored yet. `unreachable` is what deliveries
    found of this chat.
    """

    org: str
    contact_id: str
    telegram_chat_id: int
    created_at: datetime
    updated_at: datetime
    first_name: str | None = None
    last_name: str | None = None
    username: str | None = None
    language: str | None = None
    timezone: str | None = None
    location: str | None = None
    age: int | None = None
    interests: tuple[str, ...] = ()
    purchase_history: bool | None = None
    last_purchase: str | None = None
    attributes: Mapping[str, Scalar] = field(default_factory=dict)
    segments: tuple[str, ...] = ()
    tester: bool = False
    opted_out: bool = False
    unreachable: Unreachable | None = None
    ordinal: int = field(default=0, compare=False)


class Addressee(NamedTuple):
    """What sending needs of a contact. `fields` has those that the message asks for, by the API's names."""

    telegram_chat_id: int
    opted_out: bool
    fields: Mapping[str, Any]
    unreachable: Unreachable | None = None
    timezone: str | None = None
    ordinal: int = 0


def change_contact(
    before: Contact | None, changes: Changes, *, org: str, contact_id: str, now: datetime
) -> Contact:
    """`before` with `changes` laid over it, or a new contact. The same object when nothing differs.

    Of another chat nobody knows whether it can be reached.
    Raises FieldErrors when a new contact has no chat id, or the attributes become too many.
    """
    values = dict(changes)
    if "attributes" in values:
        values["attributes"] = _merged(before.attributes if before else {}, values["attributes"])
    if before is None:
        if "telegram_chat_id" not in values:
            raise FieldErrors(
                "telegramChatId: is required", details=[Detail("telegramChatId", "is required")]
            )
        return Contact(org=org, contact_id=contact_id, created_at=now, updated_at=now, **values)
    if values.get("telegram_chat_id", before.telegram_chat_id) != before.telegram_chat_id:
        values["unreachable"] = None
    after = replace(before, **values)
    # To Python 1 equals true, and 1.0.
    kinds = [list(map(type, one.attributes.values())) for one in (before, after)]
    return before if after == before and kinds[0] == kinds[1] else replace(after, updated_at=now)


def note_reach(contact: Contact, chat_id: int, unreachable: Unreachable | None, *, now: datetime) -> Contact:
    """The contact after a message to `chat_id` said this. The same object when it says nothing new of it."""
    if contact.telegram_chat_id != chat_id or contact.unreachable == unreachable:
        return contact
    return replace(contact, unreachable=unreachable, updated_at=now)


def _merged(before: Mapping[str, Scalar], patch: Mapping[str, Scalar | None] | None) -> dict[str, Scalar]:
    """RFC 7396: null removes a key; null for all removes them all."""
    if patch is None:
        return {}
    joined = {**before, **patch}
    kept = {key: value for key, value in joined.items() if value is not None}
    if len(kept) > MAX_ATTRIBUTES:
        rule = f"must not have more than {MAX_ATTRIBUTES} keys"
        raise FieldErrors(f"attributes: {rule}", details=[Detail("attributes", rule)])
    return kept
