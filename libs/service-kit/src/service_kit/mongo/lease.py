"""A lease: at most one owner at a time, with an epoch that fences a former owner's writes.

`leases/{name}` = {owner, epoch, expiresAt}. The epoch grows whenever the owner changes, so a write
conditional on the epoch fails for an owner that lost the lease without noticing.

Clocks: `expiresAt` is written and judged by the owners' own clocks. A host whose clock is ahead takes a
lease early, one that is behind takes it late; never do two renew it in turn.
"""

from datetime import timedelta

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from service_kit.clock import Clock
from service_kit.mongo.client import Database


class MongoLease:
    """The lease called `name`, for `owner`, valid `seconds` after each renewal."""

    def __init__(self, database: Database, *, name: str, owner: str, seconds: float, clock: Clock) -> None:
        self._leases = database["leases"]
        self._name = name
        self._owner = owner
        self.seconds = seconds
        self._clock = clock

    async def acquire(self) -> int | None:
        """Take or renew. The epoch, or None while somebody else has it."""
        now = self._clock.now()
        expires = now + timedelta(seconds=self.seconds)
        mine = await self._leases.find_one_and_update(
            {"_id": self._name, "owner": self._owner, "expiresAt": {"$gt": now}},
            {"$set": {"expiresAt": expires}},
            return_document=ReturnDocument.AFTER,
        )
        if mine is not None:
            return int(mine["epoch"])
        try:
            taken = await self._leases.find_one_and_update(
                {"_id": self._name, "expiresAt": {"$lte": now}},
                {"$set": {"owner": self._owner, "expiresAt": expires}, "$inc": {"epoch": 1}},
                return_document=ReturnDocument.AFTER,
                upsert=True,
            )
        except DuplicateKeyError:
            return None
        return int(taken["epoch"])

    async def release(self) -> None:
        """Let the next one take it at once. Harmless when it is not ours."""
        await self._leases.update_one(
            {"_id": self._name, "owner": self._owner}, {"$set": {"expiresAt": self._clock.now()}}
        )
