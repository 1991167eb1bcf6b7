"""What keeps audiences counted, in MongoDB.

`audience_dirty`: {_id: ULID, org, at}, one row per change, written in the transaction of the change.
Who changes contacts does not write one: the fold that brings them into the index does.
`campaigns`: {_id: campaignId, org, name, status, final, deleted, sequence, segments[], excludeSegments[],
filters (as JSON text: its keys are clients'), totalCount, estimateRevision}.
"""

import json
from collections.abc import Mapping, Sequence

from contracts.events.campaign import AudienceDefinition
from contracts.ids import new_ulid
from service_kit.clock import Clock
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.application.ports import CampaignAudience, KnownCampaign, Mark

FINAL = ("completed", "cancelled")


class MongoAudienceMarks:
    """Marks in `database`."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._marks = database["audience_dirty"]
        self._clock = clock

    async def add(self, tx: Tx, org: str) -> None:
        """Note a change of `org`'s campaigns, segments or index."""
        row = {"_id": new_ulid(), "org": org, "at": self._clock.now()}
        await self._marks.insert_one(row, session=session_of(tx))

    async def read(self, limit: int) -> list[Mark]:
        """The oldest marks."""
        rows = await self._marks.find({}, {"org": 1}).sort("_id", 1).limit(limit).to_list(None)
        return [Mark(row["_id"], row["org"]) for row in rows]

    async def remove(self, marks: Sequence[Mark]) -> None:
        """Forget marks that have been counted."""
        await self._marks.delete_many({"_id": {"$in": [mark.mark_id for mark in marks]}})


class MongoCampaigns:
    """What is known of campaigns, in `database`."""

    def __init__(self, database: Database) -> None:
        self._campaigns = database["campaigns"]

    async def prepare(self) -> None:
        """Create the index by which an org's open campaigns are read."""
        await self._campaigns.create_index([("org", 1), ("final", 1), ("_id", 1)])

    async def note(self, tx: Tx, campaign: KnownCampaign) -> bool:
        """Take over what an event told, unless something newer is known; whether it was taken."""
        session = session_of(tx)
        known = await self._campaigns.find_one({"_id": campaign.campaign_id}, session=session)
        if known and known.get("sequence", 0) > campaign.sequence:
            return False
        fields: Document = {
            "org": campaign.org,
            "name": campaign.name,
            "status": campaign.status,
            "final": campaign.deleted or campaign.status in FINAL,
            "deleted": campaign.deleted,
            "sequence": campaign.sequence,
        }
        if campaign.audience is not None or known is None:
            fields |= _audience_fields(campaign.audience or AudienceDefinition())
        await self._campaigns.update_one(
            {"_id": campaign.campaign_id},
            {"$set": fields, "$setOnInsert": {"totalCount": None, "estimateRevision": 0}},
            upsert=True,
            session=session,
        )
        return True

    async def status(self, tx: Tx, campaign_id: str) -> str | None:
        """The campaign's status by the newest event; a deleted one is cancelled."""
        row = await self._campaigns.find_one({"_id": campaign_id}, session=session_of(tx))
        if row is None:
            return None
        return "cancelled" if row["deleted"] else str(row["status"])

    async def naming(self, tx: Tx, org: str, segment_id: str) -> str | None:
        """A campaign that has not ended and names the segment."""
        named = [{"segments": segment_id}, {"excludeSegments": segment_id}]
        wanted = {"org": org, "final": False, "$or": named}
        found = await self._campaigns.find_one(wanted, {"_id": 1}, session=session_of(tx))
        return str(found["_id"]) if found else None

    async def counted(self, org: str, *, after_id: str, limit: int) -> list[CampaignAudience]:
        """The org's campaigns that are not final, by id, after `after_id`."""
        cursor = self._campaigns.find({"org": org, "final": False, "_id": {"$gt": after_id}})
        rows = await cursor.sort("_id", 1).limit(limit).to_list(None)
        return [
            CampaignAudience(
                campaign_id=row["_id"],
                org=row["org"],
                audience=_audience(row),
                total_count=row["totalCount"],
                revision=row["estimateRevision"],
            )
            for row in rows
        ]

    async def audience_of(self, org: str, campaign_id: str) -> AudienceDefinition | None:
        """The campaign's audience; None when the organisation has no such campaign, or deleted it."""
        row = await self._campaigns.find_one({"_id": campaign_id, "org": org, "deleted": False})
        return _audience(row) if row else None

    async def set_counts(self, tx: Tx, counts: Mapping[str, tuple[int, int]]) -> list[str]:
        """Store counts whose campaign nobody counted since; the ids stored."""
        stored = []
        for campaign_id, (revision, count) in counts.items():
            answer = await self._campaigns.update_one(
                {"_id": campaign_id, "estimateRevision": revision},
                {"$set": {"totalCount": count}, "$inc": {"estimateRevision": 1}},
                session=session_of(tx),
            )
            if answer.matched_count:
                stored.append(campaign_id)
        return stored


def _audience_fields(audience: AudienceDefinition) -> Document:
    return {
        "segments": audience.segments,
        "excludeSegments": audience.exclude_segments,
        "filters": None if audience.filters is None else json.dumps(audience.filters),
    }


def _audience(row: Document) -> AudienceDefinition:
    filters = row.get("filters")
    return AudienceDefinition(
        segments=row["segments"],
        exclude_segments=row.get("excludeSegments", []),
        filters=None if filters is None else json.loads(filters),
    )
