"""Conversions in MongoDB, for ever, and the contacts that they must not name.

conversions {_id: conv_…, org, campaignId, contactId (null: erased), amount (ten-thousandths), currency,
             convertedAt, recordedAt, externalId, click {executionId, messageId, at} | null, testMode}
erasures    {_id: <org>/<reference of a contact>, erased: true} for ever, or
            {…, toldAt, told: n} for an hour: somebody told of a conversion of the contact, who is not erased
prices      {_id: org, currency, …}: written by the ledger

Who tells of a conversion and who erases its contact write the same row of `erasures`. So of two at the same
moment one repeats, and sees what the other did: no conversion slips in beside an erasure.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from bson.int64 import Int64
from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.application.ports_conversions import ConversionExists
from stats_service.domain.conversion import DEFAULT_CURRENCY, Conversion, FromClick
from stats_service.domain.people import reference

TOLD_KEPT: Final = timedelta(hours=1)
"""Longer than any transaction: the row is there to be written by two."""


class MongoConversions:
    """The conversions of one database, and the currencies of organisations."""

    def __init__(self, database: Database) -> None:
        self._rows = database["conversions"]
        self._erasures = database["erasures"]
        self._prices = database["prices"]

    async def prepare(self) -> None:
        """Create the indexes: a contact's conversions are found, and what was told is forgotten."""
        await self._rows.create_index([("org", 1), ("contactId", 1)])
        seconds = int(TOLD_KEPT.total_seconds())
        await self._erasures.create_index("toldAt", expireAfterSeconds=seconds)

    async def get(self, org: str, conversion: str) -> Conversion | None:
        """The organisation's conversion of this id."""
        row = await self._rows.find_one({"_id": conversion, "org": org})
        return None if row is None else _conversion(row)

    async def add(self, tx: Tx, conversion: Conversion) -> Conversion:
        """Store it, without its contact if that was erased; what is stored. Raises ConversionExists."""
        session = session_of(tx)
        key = {"_id": _erasure(conversion.org, conversion.contact or "")}
        try:
            row = await self._erasures.find_one(key, session=session)
            if row is not None and row.get("erased"):
                conversion = replace(conversion, contact=None)
            await self._rows.insert_one(_row(conversion), session=session)
            if conversion.contact is not None:
                # The increment: writing what is there already is no write, and meets nobody.
                told = {"$set": {"toldAt": conversion.recorded_at}, "$inc": {"told": 1}}
                await self._erasures.update_one(key, told, upsert=True, session=session)
        except DuplicateKeyError as error:
            raise ConversionExists from error
        return conversion

    async def forget_contact(self, tx: Tx, org: str, contact: str) -> None:
        """Empty the contact in all its conversions, which stay as numbers; again changes nothing.

        Those that are told of later are stored without it.
        """
        session = session_of(tx)
        erased = {"$set": {"erased": True}, "$unset": {"toldAt": "", "told": ""}}
        await self._erasures.update_one({"_id": _erasure(org, contact)}, erased, upsert=True, session=session)
        named = {"org": org, "contactId": contact}
        await self._rows.update_many(named, {"$set": {"contactId": None}}, session=session)

    async def currency_of(self, org: str) -> str:
        """The organisation's currency; the default while no event told of its settings."""
        row = await self._prices.find_one({"_id": org}, {"currency": 1})
        return (row or {}).get("currency") or DEFAULT_CURRENCY


def _erasure(org: str, contact: str) -> str:
    return f"{org}/{reference(contact).hex()}"


def _row(conversion: Conversion) -> Document:
    click = conversion.click
    return {
        "_id": conversion.id,
        "org": conversion.org,
        "campaignId": conversion.campaign,
        "contactId": conversion.contact,
        "amount": Int64(conversion.amount),
        "currency": conversion.currency,
        "convertedAt": conversion.converted_at,
        "recordedAt": conversion.recorded_at,
        "externalId": conversion.external_id,
        "click": click and {"executionId": click.execution, "messageId": click.message, "at": click.at},
        "testMode": conversion.test_mode,
    }


def _conversion(row: Document) -> Conversion:
    click = row["click"]
    return Conversion(
        id=row["_id"],
        org=row["org"],
        campaign=row["campaignId"],
        contact=row["contactId"],
        amount=int(row["amount"]),
        currency=row["currency"],
        converted_at=row["convertedAt"],
        recorded_at=row["recordedAt"],
        external_id=row["externalId"],
        click=click and FromClick(click["executionId"], click["messageId"], click["at"]),
        test_mode=row["testMode"],
    )
