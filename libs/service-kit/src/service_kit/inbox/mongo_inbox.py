"""The inbox in MongoDB: the ids of events that took effect, marked in the transaction of the effect."""

from datetime import timedelta

from pymongo.errors import DuplicateKeyError

from service_kit.clock import Clock
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

COLLECTION = "inbox"


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

    async def mark(self, tx: Tx, event_id: str) -> None:
        """Note that the event takes effect in `tx`. Raises AlreadyHandled."""
        row = {"_id": f"{self._consumer}:{event_id}", "at": self._clock.now()}
        try:
            await self._marks.insert_one(row, session=session_of(tx))
        except DuplicateKeyError as error:
            raise AlreadyHandled(event_id) from error
