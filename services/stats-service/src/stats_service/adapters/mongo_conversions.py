"""Conversions in MongoDB, for ever.

conversions {_id: conv_…, org, campaignId, contactId (null: erased), amount (ten-thousandths), currency,
             convertedAt, recordedAt, externalId, click {executionId, messageId, at} | null, testMode}
prices      {_id: org, currency, …}: written by the ledger
"""

from bson.int64 import Int64
from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.application.ports_conversions import ConversionExists
from stats_service.domain.conversion import DEFAULT_CURRENCY, Conversion, FromClick


class MongoConversions:
    """The conversions of one database, and the currencies of organisations."""

    def __init__(self, database: Database) -> None:
        self._rows = database["conversions"]
        self._prices = database["prices"]

    async def prepare(self) -> None:
        """Create the index by which a contact's are found."""
        await self._rows.create_index([("org", 1), ("contactId", 1)])

    async def get(self, org: str, conversion: str) -> Conversion | None:
        """The organisation's conversion of this id."""
        row = await self._rows.find_one({"_id": conversion, "org": org})
        return None if row is None else _conversion(row)

    async def add(self, tx: Tx, conversion: Conversion) -> None:
        """Store it. Raises ConversionExists."""
        try:
            await self._rows.insert_one(_row(conversion), session=session_of(tx))
        except DuplicateKeyError as error:
            raise ConversionExists from error

    async def forget_contact(self, tx: Tx, org: str, contact: str) -> None:
        """Empty the contact in all its conversions, which stay as numbers; again changes nothing."""
        named = {"org": org, "contactId": contact}
        await self._rows.update_many(named, {"$set": {"contactId": None}}, session=session_of(tx))

    async def currency_of(self, org: str) -> str:
        """The organisation's currency; the default while no event told of its settings."""
        row = await self._prices.find_one({"_id": org}, {"currency": 1})
        return (row or {}).get("currency") or DEFAULT_CURRENCY


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
