"""Positions in MongoDB: {_id: `<topic>:<partition>`, offset}, the last offset that is in the numbers."""

from collections.abc import Mapping

from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.application.ports import Partition, PositionMoved

COLLECTION = "positions"
NOTHING_YET = -1


class MongoPositions:
    """The positions of one database."""

    def __init__(self, database: Database, *, collection: str = COLLECTION, prefix: str = "") -> None:
        self._positions = database[collection]
        self._prefix = prefix

    def _id(self, partition: Partition) -> str:
        return f"{self._prefix}{partition.topic}:{partition.number}"

    async def all(self) -> Mapping[Partition, int]:
        """Every position of the numbers that hold."""
        return await self._all(None)

    async def all_in(self, tx: Tx) -> Mapping[Partition, int]:
        """The same within `tx`."""
        return await self._all(session_of(tx))

    async def _all(self, session: Session | None) -> Mapping[Partition, int]:
        answer: dict[Partition, int] = {}
        for row in await self._positions.find({}, session=session).to_list(None):
            topic, _, number = row["_id"].rpartition(":")
            answer[Partition(topic, int(number))] = row["offset"]
        return answer

    async def read(self, partition: Partition) -> int:
        """The position, made when there is none: a transaction then always finds a document to change."""
        row = await self._positions.find_one({"_id": self._id(partition)})
        if row is None:
            try:
                await self._positions.insert_one({"_id": self._id(partition), "offset": NOTHING_YET})
            except DuplicateKeyError:
                return await self.read(partition)
            return NOTHING_YET
        return int(row["offset"])

    async def read_in(self, tx: Tx, partition: Partition) -> int:
        """The position within `tx`. Raises PositionMoved when there is none."""
        row: Document | None = await self._positions.find_one(
            {"_id": self._id(partition)}, session=session_of(tx)
        )
        if row is None:
            raise PositionMoved("there is no position")
        return int(row["offset"])

    async def move(self, tx: Tx, partition: Partition, *, before: int, after: int) -> None:
        """Compare and set. Raises PositionMoved when it is not `before` any more."""
        moved = await self._positions.update_one(
            {"_id": self._id(partition), "offset": before},
            {"$set": {"offset": after}},
            session=session_of(tx),
        )
        if moved.matched_count != 1:
            raise PositionMoved("somebody else has moved the position")
