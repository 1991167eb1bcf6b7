"""Segments in MongoDB: {_id: `<org>/<segmentId>`, org, segmentId, name, description, filters, revision, …}.

`filters`, of one that is a filter, is JSON text: its keys are clients'.
"""

import json
from collections.abc import Mapping, Sequence

from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.domain.errors import SegmentExists
from execution_service.domain.segment import Segment


class MongoSegments:
    """Segments of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._segments = database["segments"]

    async def prepare(self) -> None:
        """Create the index of the list."""
        await self._segments.create_index([("org", 1), ("createdAt", -1), ("_id", -1)])

    async def insert(self, tx: Tx, segment: Segment) -> None:
        """Store a new one. Raises SegmentExists."""
        try:
            await self._segments.insert_one(_document(segment), session=session_of(tx))
        except DuplicateKeyError as error:
            raise SegmentExists from error

    async def get(self, org: str, segment_id: str, *, tx: Tx | None = None) -> Segment | None:
        """One segment."""
        session = session_of(tx) if tx else None
        found = await self._segments.find_one({"_id": f"{org}/{segment_id}"}, session=session)
        return _segment(found) if found else None

    async def replace(self, tx: Tx, segment: Segment) -> None:
        """Store a changed segment over what is there."""
        row = _document(segment)
        await self._segments.replace_one({"_id": row["_id"]}, row, session=session_of(tx))

    async def remove(self, tx: Tx, segment: Segment) -> None:
        """Forget the segment."""
        key = {"_id": f"{segment.org}/{segment.segment_id}"}
        await self._segments.delete_one(key, session=session_of(tx))

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Segment], int]:
        """A page, newest first, and how many there are."""
        cursor = self._segments.find({"org": org}).sort([("createdAt", -1), ("_id", -1)])
        rows = await cursor.skip(skip).limit(limit).to_list(None)
        return [_segment(row) for row in rows], await self._segments.count_documents({"org": org})

    async def filters_of(self, org: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        """The filters of those of the segments that have some."""
        keys = [f"{org}/{segment_id}" for segment_id in segment_ids]
        rows = await self._segments.find({"_id": {"$in": keys}}, {"segmentId": 1, "filters": 1}).to_list(None)
        return {row["segmentId"]: json.loads(row["filters"]) for row in rows if row.get("filters")}


def _document(segment: Segment) -> Document:
    return {
        "_id": f"{segment.org}/{segment.segment_id}",
        "org": segment.org,
        "segmentId": segment.segment_id,
        "name": segment.name,
        "description": segment.description,
        "filters": None if segment.filters is None else json.dumps(segment.filters),
        "revision": segment.revision,
        "createdAt": segment.created_at,
        "updatedAt": segment.updated_at,
    }


def _segment(row: Document) -> Segment:
    return Segment(
        org=row["org"],
        segment_id=row["segmentId"],
        name=row["name"],
        description=row["description"],
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
        filters=json.loads(row["filters"]) if row.get("filters") else None,
        revision=row.get("revision", 1),
    )
