"""Contacts in MongoDB: {_id: `<org>/<contactId>`, org, contactId, telegramChatId, …} in the API's own names.

The index (org, segments, _id) serves both walking a segment by keyset and counting a union; a whole
organisation is a range of _id. Testers and those who are suppressed are few: `testerOf` and `suppressedOf`
(`<org>/`, and `<org>/<segment>` for each of theirs) are in sparse indexes, which cost all others nothing.
"""

from collections.abc import Sequence
from typing import Any

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.mongo_audience_query import audience_query, places, whole_org
from execution_service.application.ports import Collision, Member
from execution_service.domain.audience import AudienceRule
from execution_service.domain.contact import Contact
from execution_service.domain.suppression import suppression

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
}


def contact_key(org: str, contact_id: str) -> str:
    """The document's _id. An org never holds a slash, so keys of two orgs never meet."""
    return f"{org}/{contact_id}"


class MongoContacts:
    """Contacts of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._contacts = database["contacts"]

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._contacts.create_index([("org", 1), ("segments", 1), ("_id", 1)])
        await self._contacts.create_index([("testerOf", 1)], sparse=True)
        await self._contacts.create_index([("suppressedOf", 1)], sparse=True)

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

    async def insert(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store new contacts. Raises Collision."""
        rows = [_document(contact) for contact in contacts]
        try:
            await self._contacts.insert_many(rows, ordered=True, session=session_of(tx))
        except BulkWriteError as error:
            if any(
                item.get("code") == DUPLICATE_KEY for item in (error.details or {}).get("writeErrors", [])
            ):
                raise Collision from error
            raise

    async def replace(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Store changed contacts over what is there."""
        rows = [_document(contact) for contact in contacts]
        changes = [ReplaceOne({"_id": row["_id"]}, row) for row in rows]
        await self._contacts.bulk_write(changes, ordered=True, session=session_of(tx))

    async def walk(
        self, org: str, segment: str | None, *, after_key: str, limit: int, whole: bool = False
    ) -> list[Member]:
        """Up to `limit` members of `segment` (None: all) after `after_key` ("" to start), by key."""
        wanted: Document = {"_id": whole_org(org, after_key=after_key)}
        if segment is not None:
            wanted = {"org": org, "segments": segment, "_id": {"$gt": after_key}}
        fields = None if whole else {"contactId": 1, "segments": 1, "tester": 1}
        rows = await self._contacts.find(wanted, fields).sort("_id", 1).limit(limit).to_list(None)
        return [
            Member(
                row["_id"],
                row["contactId"],
                tuple(row["segments"]),
                row["tester"],
                _contact(row) if whole else None,
            )
            for row in rows
        ]

    async def count(
        self, org: str, rule: AudienceRule, *, testers_only: bool = False, suppressed: str | None = None
    ) -> int:
        """How many contacts `rule` admits, each counted once; of them only those suppressed for a code."""
        if rule.empty:
            return 0
        query = audience_query(org, rule, testers_only=testers_only, suppressed=suppressed)
        return await self._contacts.count_documents(query)


def _everywhere(contact: Contact) -> list[str]:
    """Where a contact that is looked for apart is found: in the organisation, and in each of its segments."""
    return list(dict.fromkeys([*places(contact.org, ()), *places(contact.org, contact.segments)]))


def _document(contact: Contact) -> Document:
    row: Document = {
        "_id": contact_key(contact.org, contact.contact_id),
        "org": contact.org,
        "contactId": contact.contact_id,
        "telegramChatId": contact.telegram_chat_id,
        "interests": list(contact.interests),
        "attributes": dict(contact.attributes),
        "segments": list(contact.segments),
        "tester": contact.tester,
        "optedOut": contact.opted_out,
        "createdAt": contact.created_at,
        "updatedAt": contact.updated_at,
    }
    if contact.tester:
        row["testerOf"] = _everywhere(contact)
    code = suppression(contact)
    if code is not None:
        row |= {"suppression": code, "suppressedOf": _everywhere(contact)}
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
        **optional,
    )
