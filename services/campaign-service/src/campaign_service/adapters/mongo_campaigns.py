"""Campaigns in MongoDB."""

from collections.abc import Collection
from dataclasses import asdict
from datetime import datetime

from pydantic.alias_generators import to_camel
from pymongo import ASCENDING, ReturnDocument
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from campaign_service.adapters.campaign_listing import MADE_FOR_LISTS, CampaignListing, list_name
from campaign_service.adapters.campaign_tallies import Cell, MongoTallies, cell_of
from campaign_service.adapters.documents import DUE_AT, NUMBERS, campaign_document, campaign_of
from campaign_service.application.ports import CampaignQuery, Page
from campaign_service.domain.campaign import Campaign, Statistics
from campaign_service.domain.errors import VersionConflict

COLLECTION = "campaigns"
_CELL = {"status": True, "type": True}


class MongoCampaigns:
    """The port `Campaigns` on one collection."""

    def __init__(self, database: Database) -> None:
        self._rows = database[COLLECTION]
        self._tallies = MongoTallies(database)
        self._listing = CampaignListing(database, self._rows, self._tallies)

    async def prepare(self) -> None:
        """Create the indexes."""
        await self._tallies.prepare()
        await self._listing.prepare()
        await self._rows.create_index([(DUE_AT, ASCENDING)], sparse=True)

    async def add(self, tx: Tx, campaign: Campaign) -> None:
        """Keep a new campaign."""
        session = session_of(tx)
        await self._rows.insert_one(campaign_document(campaign), session=session)
        cell = cell_of(campaign.status, campaign.definition.type)
        await self._tallies.note(session, campaign.org, left=None, entered=cell)

    async def get(self, org: str, campaign_id: str, *, tx: Tx | None = None) -> Campaign | None:
        """The campaign; None when the org has none such."""
        found = await self._rows.find_one(
            {"_id": campaign_id, "org": org},
            dict.fromkeys(MADE_FOR_LISTS, False),
            session=None if tx is None else session_of(tx),
        )
        return None if found is None else campaign_of(found)

    async def save(self, tx: Tx, campaign: Campaign, *, expected_version: int) -> None:
        """Keep what changed, but never the numbers. Raises VersionConflict."""
        changed = {
            key: value
            for key, value in campaign_document(campaign).items()
            if key != "_id" and key not in NUMBERS
        }
        change: Document = {"$set": changed}
        if DUE_AT not in changed:
            change["$unset"] = {DUE_AT: ""}
        session = session_of(tx)
        before = await self._rows.find_one_and_update(
            {"_id": campaign.id, "org": campaign.org, "version": expected_version},
            change,
            projection=_CELL,
            return_document=ReturnDocument.BEFORE,
            session=session,
        )
        if before is None:
            raise VersionConflict
        left, entered = _cell_in(before), cell_of(campaign.status, campaign.definition.type)
        await self._tallies.note(session, campaign.org, left=left, entered=entered)

    async def remove(self, tx: Tx, org: str, campaign_id: str, *, expected_version: int) -> None:
        """Erase a campaign. Raises VersionConflict."""
        session = session_of(tx)
        erased = await self._rows.find_one_and_delete(
            {"_id": campaign_id, "org": org, "version": expected_version}, projection=_CELL, session=session
        )
        if erased is None:
            raise VersionConflict
        await self._tallies.note(session, org, left=_cell_in(erased), entered=None)

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        """Org and id of campaigns whose scheduled time has come."""
        rows = self._rows.find({DUE_AT: {"$lte": now}}, {"org": True}).sort(DUE_AT, ASCENDING).limit(limit)
        return [(row["org"], row["_id"]) for row in await rows.to_list(limit)]

    async def taken_names(self, org: str, names: Collection[str]) -> set[str]:
        """Those of `names` that campaigns of the org have."""
        rows = self._rows.find({"lists": list_name(org), "name": {"$in": sorted(names)}}, {"name": True})
        return {row["name"] async for row in rows}

    async def page(self, query: CampaignQuery) -> Page[Campaign]:
        """A page of campaigns, without their messages: a hundred of those may be fifty megabytes."""
        if query.words == ():
            return Page([], 0)
        projection = dict.fromkeys((*MADE_FOR_LISTS, "messages"), False)
        found, total = await self._listing.page(query, projection)
        return Page([campaign_of(document) for document in found], total)

    async def note_audience(self, org: str, campaign_id: str, *, total_count: int, at: datetime) -> None:
        """Keep the audience's size, unless a younger estimate is there."""
        await self._rows.update_one(
            {
                "_id": campaign_id,
                "org": org,
                "$or": [{"totalCountAt": {"$lte": at}}, {"totalCountAt": {"$exists": False}}],
            },
            {"$set": {"totalCount": total_count, "totalCountAt": at}},
        )

    async def note_statistics(
        self, org: str, campaign_id: str, *, statistics: Statistics, revision: int
    ) -> None:
        """Keep the numbers, unless as high a revision is there."""
        numbers = {to_camel(name): value for name, value in asdict(statistics).items()}
        await self._rows.update_one(
            {
                "_id": campaign_id,
                "org": org,
                "$or": [
                    {"statisticsRevision": {"$lt": revision}},
                    {"statisticsRevision": {"$exists": False}},
                ],
            },
            {"$set": {"statistics": numbers, "statisticsRevision": revision}},
        )


def _cell_in(document: Document) -> Cell:
    return cell_of(document["status"], document["type"])
