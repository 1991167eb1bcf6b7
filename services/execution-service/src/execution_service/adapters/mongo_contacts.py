"""Contacts in MongoDB: {_id: `<org>/<contactId>`, n, org, contactId, telegramChatId, …}, the API's names.

`n` is the ordinal, the contact's place in the audience index; whoever stores contacts here writes the
change that has them folded into it, in the same transaction. They are read by id alone, so there is no index
but _id's own; a whole organisation is a range of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.mongo_audience_index import (
    MongoContactChanges,
    MongoOrdinals,
    ensure_collection,
)
from execution_service.application.ports import Collision
from execution_service.domain.contact import Addressee, Contact

DUPLICATE_KEY = 11000
_OPTIONAL = {
    "first_name": "firstName",
    "last_name": "lastName",
    "username": "username",
    "language": "language",
    "timezone": "timezone",
    "location": "location",
    "age": "age",
    "purchase_history": "purchaseHistory",
    "last_purchase": "lastPurchase",
    "unreachable": "unreachable",
}


def contact_key(org: str, contact_id: str) -> str:
    """The document's _id. An org never holds a slash, so keys of two orgs never meet."""
    return f"{org}/{contact_id}"


class MongoContacts:
    """Contacts of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._contacts = database["contacts"]
        self._ordinals = MongoOrdinals(database)
        self._changes = MongoContactChanges(database)

    async def prepare(self) -> None:
        """Create the collection."""
        await ensure_collection(self._contacts)

    async def get(self, org: str, contact_id: str, *, tx: Tx | None = None) -> Contact | None:
        """One contact."""
        session = session_of(tx) if tx else None
        found = await self._contacts.find_one({"_id": contact_key(org, contact_id)}, session=session)
        return _contact(found) if found else None

    async def by_ids(self, org: str, ids: Sequence[str], *, tx: Tx | None = None) -> dict[str, Contact]:
        """Those of `ids` that exist, by id."""
        session = session_of(tx) if tx else None
        keys = [contact_key(org, contact_id) for contact_id in ids]
        found = await self._contacts.find({"_id": {"$in": keys}}, session=session).to_list(None)
        return {row["contactId"]: _contact(row) for row in found}

    async def addressees(self, org: str, ids: Sequence[str], fields: frozenset[str]) -> dict[str, Addressee]:
        """Those of `ids` that exist, by id, with these `fields` (`firstName`, `attributes.city`)."""
        keys = [contact_key(org, contact_id) for contact_id in ids]
        always = ("contactId", "n", "telegramChatId", "optedOut", "unreachable", "timezone")
        wanted = dict.fromkeys((*always, *fields), 1)
        # All in the first batch, which is 101 documents otherwise: each further one is a round trip.
        found = await self._contacts.find(
            {"_id": {"$in": keys}}, {"_id": 0, **wanted}, batch_size=len(keys) + 1
        ).to_list(None)
        return {
            row["contactId"]: Addressee(
                row["telegramChatId"],
                row["optedOut"],
                row,
                unreachable=row.get("unreachable"),
                timezone=row.get("timezone"),
                ordinal=row["n"],
            )
            for row in found
        }

    async def insert(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store new contacts of one organisation, each with an ordinal of its own. Raises Collision."""
        first = await self._ordinals.take(contacts[0].org, len(contacts))
        placed = [replace(contact, ordinal=first + place) for place, contact in enumerate(contacts)]
        rows = [_document(contact) for contact in placed]
        try:
            await self._contacts.insert_many(rows, ordered=True, session=session_of(tx))
        except BulkWriteError as error:
            if any(
                item.get("code") == DUPLICATE_KEY for item in (error.details or {}).get("writeErrors", [])
            ):
                raise Collision from error
            raise
        await self._changes.add(tx, placed)

    async def replace(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store changed contacts of one organisation over what is there. Raises Collision."""
        rows = [_document(contact) for contact in contacts]
        changes = [ReplaceOne({"_id": row["_id"], "n": row["n"]}, row) for row in rows]
        answer = await self._contacts.bulk_write(changes, ordered=True, session=session_of(tx))
        if answer.matched_count != len(rows):
            raise Collision
        await self._changes.add(tx, contacts)

    async def erase(self, tx: Tx, contact: Contact) -> None:
        """Remove a contact. Raises Collision."""
        here = {"_id": contact_key(contact.org, contact.contact_id), "n": contact.ordinal}
        answer = await self._contacts.delete_one(here, session=session_of(tx))
        if answer.deleted_count != 1:
            raise Collision
        await self._changes.add(tx, [contact])


def _document(contact: Contact) -> Document:
    row: Document = {
        "_id": contact_key(contact.org, contact.contact_id),
        "org": contact.org,
        "contactId": contact.contact_id,
        "n": contact.ordinal,
        "telegramChatId": contact.telegram_chat_id,
        "interests": list(contact.interests),
        "attributes": dict(contact.attributes),
        "segments": list(contact.segments),
        "tester": contact.tester,
        "optedOut": contact.opted_out,
        "createdAt": contact.created_at,
        "updatedAt": contact.updated_at,
    }
    for attribute, name in _OPTIONAL.items():
        value = getattr(contact, attribute)
        if value is not None:
            row[name] = value
    return row


def _contact(row: Document) -> Contact:
    optional: dict[str, Any] = {attribute: row[name] for attribute, name in _OPTIONAL.items() if name in row}
    return Contact(
        org=row["org"],
        contact_id=row["contactId"],
        telegram_chat_id=row["telegramChatId"],
        interests=tuple(row["interests"]),
        attributes=row["attributes"],
        segments=tuple(row["segments"]),
        tester=row["tester"],
        opted_out=row["optedOut"],
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
        ordinal=row["n"],
        **optional,
    )
