"""The rows that wait in the outbox, as the relay sees them.

`outbox_refused` = {_id: key, row, type, reason, at}: keys (campaigns) that are closed, because Kafka
refuses their next row for good. Their rows stay where they are and nothing of them is published, for the
order within a campaign is worth more than its speed; other keys go on. Removing the document opens the
key again (`python -m service_kit.outbox.refused`), in one write, so nothing can be half open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service_kit.clock import Clock
from service_kit.mongo.client import Database, Document
from service_kit.outbox.mongo_outbox import COLLECTION, ORDER

REFUSED = "outbox_refused"


@dataclass(frozen=True, slots=True)
class Row:
    """An event on its way. Rows of one key are published by (sequence, id)."""

    id: str
    key: str
    sequence: int
    topic: str
    type: str
    value: bytes
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Page:
    """A look at the outbox: rows in publishing order, and where the next page begins (None: no more)."""

    rows: tuple[Row, ...]
    after: str | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many rows wait to be published, and how many are held behind a refusal, of which keys."""

    waiting: int
    held: int
    closed: frozenset[str]


class MongoWaitingRows:
    """Reads and removes the rows of `database`'s outbox, and closes keys."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._rows = database[COLLECTION]
        self._refused = database[REFUSED]
        self._clock = clock

    async def page(self, limit: int, *, after: str | None, closed: frozenset[str]) -> Page:
        """The `limit` oldest rows behind `after`, and with them every row that its key has before them.

        Two reads. The first, by id, is fair between keys, but may miss a row with a smaller id that was
        committed while it went on, or whose writer's clock is ahead. The second reads each key's own range
        of the index, where nothing lies between a row and the next: it cannot see a row and miss the one
        before. So for each key the answer is a prefix of what waits.
        """
        condition: Document = {} if after is None else {"_id": {"$gt": after}}
        if closed:
            condition["key"] = {"$nin": sorted(closed)}
        found = self._rows.find(condition, {"key": 1, "sequence": 1}).sort("_id", 1)
        first = await found.limit(limit).to_list(None)
        if not first:
            return Page((), None)
        last: dict[str, tuple[int, str]] = {}
        for row in first:
            last[row["key"]] = max(last.get(row["key"], (0, "")), (row["sequence"], row["_id"]))
        prefixes = self._rows.find({"$or": [_up_to(key, *end) for key, end in last.items()]}).sort(ORDER)
        # A prefix stays one wherever the limit cuts; the rest comes with a later page.
        rows = tuple(_row(document) for document in await prefixes.limit(limit * 2).to_list(None))
        return Page(rows, first[-1]["_id"] if len(first) == limit else None)

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget rows that Kafka has acknowledged."""
        await self._rows.delete_many({"_id": {"$in": list(ids)}})

    async def close_key(self, row: Row, reason: str) -> None:
        """Publish nothing more of `row`'s key: Kafka refuses `row` for good."""
        note = {"row": row.id, "type": row.type, "reason": reason, "at": self._clock.now()}
        await self._refused.update_one({"_id": row.key}, {"$setOnInsert": note}, upsert=True)

    async def backlog(self) -> Backlog:
        """What waits. The count is the collection's own, not a walk."""
        closed = frozenset([row["_id"] async for row in self._refused.find({}, {"_id": 1})])
        held = await self._rows.count_documents({"key": {"$in": sorted(closed)}}) if closed else 0
        return Backlog(max(0, await self._rows.estimated_document_count() - held), held, closed)


def _up_to(key: str, sequence: int, row_id: str) -> Document:
    """What `key` has up to that row. Rows without a sequence are in the order of their ids."""
    if sequence == 0:
        return {"key": key, "sequence": 0, "_id": {"$lte": row_id}}
    return {"key": key, "sequence": {"$lte": sequence}}


def _row(document: Document) -> Row:
    return Row(
        id=document["_id"],
        key=document["key"],
        sequence=document["sequence"],
        topic=document["topic"],
        type=document["type"],
        value=bytes(document["value"]),
        created_at=document["createdAt"],
    )
