"""What campaigns have spent, in MongoDB: {_id: camp_…, org, messages}, and the accounts in `shards`."""

from collections.abc import Sequence

from pymongo.errors import DuplicateKeyError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.shard_documents import account_of
from execution_service.application.ports_counting import ShardAccount
from execution_service.domain.spending import LOCAL_FAILURES

_FIELDS = {"spent": 1, "reserved": 1, "told": 1, "state": 1, "counts": 1, "errors": 1}
_SENT = ("successful", "failed", "unknown")


class MongoSpending:
    """Counts of all organisations in `database`."""

    def __init__(self, database: Database) -> None:
        self._counts = database["spending"]
        self._shards = database["shards"]

    async def begin(self, org: str, campaign_id: str) -> None:
        """Have a count for the campaign."""
        if await self._counts.find_one({"_id": campaign_id}, {"_id": 1}) is None:
            try:
                await self._counts.insert_one({"_id": campaign_id, "org": org, "messages": 0})
            except DuplicateKeyError:
                return  # somebody else was a moment faster

    async def messages(self, campaign_id: str, *, tx: Tx | None = None) -> int:
        """The campaign's count."""
        session = session_of(tx) if tx else None
        found = await self._counts.find_one({"_id": campaign_id}, session=session)
        return int(found["messages"]) if found else 0

    async def add(self, tx: Tx, campaign_id: str, messages: int, *, most: int | None = None) -> bool:
        """Count so many (more, or fewer); False, and nothing changed, when they would be more than `most`."""
        here: Document = {"_id": campaign_id}
        if most is not None:
            here["messages"] = {"$lte": most - messages}
        change = {"$inc": {"messages": messages}}
        answer = await self._counts.update_one(here, change, session=session_of(tx))
        return bool(answer.matched_count == 1)

    async def accounts(self, execution_id: str, *, tx: Tx | None = None) -> Sequence[ShardAccount]:
        """The accounts of the execution's shards."""
        session = session_of(tx) if tx else None
        rows = self._shards.find({"executionId": execution_id}, _FIELDS, session=session)
        return [
            ShardAccount(row["_id"], account_of(row), row["state"] == "leased", _has_sent(row))
            for row in await rows.to_list(None)
        ]

    async def tell(self, tx: Tx, shard: ShardAccount) -> bool:
        """Note that the count was told of all in the account; False when it has changed, or is in hand.

        Who has the shard in hand stores the whole account, and would not know.
        """
        account = shard.account
        as_it_was = {
            "_id": shard.shard_id,
            "state": {"$ne": "leased"},
            "told": account.told,
            "spent": account.spent,
            "reserved": account.reserved,
        }
        change = {"$set": {"told": account.total}}
        answer = await self._shards.update_one(as_it_was, change, session=session_of(tx))
        return bool(answer.matched_count == 1)


def _has_sent(row: Document) -> bool:
    ours = sum(row["errors"].get(code, 0) for code in LOCAL_FAILURES)
    sent = sum(row["counts"].get(status, 0) for status in _SENT) - ours
    return bool(row.get("spent", 0) or sent > 0)
