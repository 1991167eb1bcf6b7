"""The inbox in MongoDB: the ids of events that took effect, marked in the transaction of the effect."""

from datetime import timedelta

from pymongo.errors import BulkWriteError

from service_kit.clock import Clock
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

COLLECTION = "inbox"
DUPLICATE_KEY = 11000


class MongoInbox:
    """Marks events for one `consumer` (several consumers may share a database)."""

    def __init__(self, database: Database, *, consumer: str, clock: Clock) -> None:
        self._marks = database[COLLECTION]
        self._consumer = consumer
        self._clock = clock

    async def prepare(self, *, retention_days: int) -> None:
        """Create the index that forgets marks after `retention_days`."""
        await self._marks.create_index(
            "at", expireAfterSeconds=int(timedelta(days=retention_days).total_seconds())
        )

    async def mark(self, tx: Tx, *event_ids: str) -> None:
        """Note that the events take effect in `tx`. Raises AlreadyHandled when one of them already has."""
        now = self._clock.now()
        rows = [{"_id": f"{self._consumer}:{event_id}", "at": now} for event_id in event_ids]
        try:
            await self._marks.insert_many(rows, session=session_of(tx))
        except BulkWriteError as error:
            codes = {item["code"] for item in (error.details or {}).get("writeErrors", [])}
            if codes == {DUPLICATE_KEY}:
                raise AlreadyHandled(event_ids[0]) from error
            raise
