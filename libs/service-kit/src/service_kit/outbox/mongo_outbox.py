"""The outbox in MongoDB: a row per event, written in the transaction that makes the event true.

Row: {_id: ULID (order of writing within a process), key, sequence, topic, type, value (bytes), createdAt}.
Rows of a key with a `sequence` are published by it, whatever the clocks of those who wrote them. Rows
without one go by id: in order for one process, by its host's clock among several.
"""

from bson.binary import Binary
from contracts.envelope import AnyEvent, encode
from contracts.ids import new_ulid

from service_kit.clock import Clock
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

COLLECTION = "outbox"
ORDER = [("key", 1), ("sequence", 1), ("_id", 1)]
"""The order in which the rows of a key are published."""


class MongoOutbox:
    """Adds events to `database`'s outbox."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._rows = database[COLLECTION]
        self._clock = clock

    async def prepare(self) -> None:
        """Create the index by which the relay reads the rows of one key in order."""
        await self._rows.create_index(ORDER)

    async def add(self, tx: Tx, *events: AnyEvent) -> None:
        """Store `events` for the relay, in this order."""
        rows = [self._row(event) for event in events]
        if rows:
            await self._rows.insert_many(rows, session=session_of(tx))

    def _row(self, event: AnyEvent) -> Document:
        return {
            "_id": new_ulid(),
            "key": event.subject,
            "sequence": event.sequence or 0,
            "topic": event.data.topic.name,
            "type": event.type,
            "value": Binary(encode(event)),
            "createdAt": self._clock.now(),
        }
