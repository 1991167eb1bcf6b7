"""The baselines without HTTP: the driver's own calls, with the documents that the service would store."""

import asyncio
from collections.abc import Iterator
from typing import Any

from bson.binary import Binary
from campaign_rows import ORG, campaign_rows
from campaign_service.adapters.campaign_tallies import cell_of, tally_document
from campaign_service.adapters.documents import campaign_document
from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.application.ports import CampaignQuery
from contracts.ids import new_id, new_ulid
from service_kit.mongo.client import Client


class BareDriver:
    """Each method does to the database what one request of that name does, and nothing else."""

    def __init__(self, client: Client, ids: list[str]) -> None:
        self._client = client
        self._database = client["campaign-service"]
        self._rows = self._database["campaigns"]
        self._lists = MongoCampaigns(self._database)
        row = next(campaign_rows(1, seed=2, org_of=lambda _: ORG))
        self._document = campaign_document(row)
        self._tally = {cell_of("draft", "message"): 1}
        self._ids: Iterator[str] = iter(ids)

    async def get(self, campaign_id: str) -> object:
        """One find_one."""
        return await self._rows.find_one({"_id": campaign_id, "org": ORG}, {"terms": 0, "lists": 0})

    async def list(self) -> object:
        """The first page, the newest first: the adapter's queries without the API around them."""
        return await self._lists.page(CampaignQuery(ORG))

    async def create(self) -> None:
        """A transaction of three inserts."""

        async def writes(session: Any) -> None:
            await self._rows.insert_one(self._document | {"_id": new_id("camp")}, session=session)
            await self._database["campaign_tallies"].insert_one(
                tally_document(ORG, self._tally), session=session
            )
            await self._tell(session, 600)

        await self._transaction(writes)

    async def put(self, campaign_id: str) -> None:
        """A find_one, and a transaction of an update and an insert."""
        await self.get(campaign_id)

        async def writes(session: Any) -> None:
            await self._rows.find_one_and_update(
                {"_id": campaign_id}, {"$set": {"budget": 1.0}, "$inc": {"version": 1}}, session=session
            )
            await self._tell(session, 600)

        await self._transaction(writes)

    async def execute(self) -> None:
        """A find_one, and a transaction of an update and two inserts."""
        campaign_id = next(self._ids)
        await self.get(campaign_id)

        async def writes(session: Any) -> None:
            await self._rows.find_one_and_update(
                {"_id": campaign_id}, {"$set": {"status": "active"}, "$inc": {"version": 1}}, session=session
            )
            await self._database["campaign_tallies"].insert_one(
                tally_document(ORG, {cell_of("draft", "message"): -1, cell_of("active", "message"): 1}),
                session=session,
            )
            await self._tell(session, 1200)

        await self._transaction(writes)

    async def _tell(self, session: Any, size: int) -> None:
        row = {"_id": new_ulid(), "key": "bench", "sequence": 1, "value": Binary(b"x" * size)}
        await self._database["bench_outbox"].insert_one(row, session=session)

    async def _transaction(self, writes: Any) -> None:
        """Repeats what conflicts, as every user of the driver must."""
        async with await self._client.start_session() as session:
            while True:
                try:
                    async with session.start_transaction():
                        return await writes(session)
                except Exception as error:
                    if not getattr(error, "has_error_label", lambda _: False)("TransientTransactionError"):
                        raise
                    await asyncio.sleep(0.002)
