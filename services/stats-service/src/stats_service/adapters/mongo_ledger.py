"""The numbers in MongoDB, and the names of the facts in them.

numbers    {_id: campaign, org, sent, delivered, failed, skipped, unknown, tasksTotal, tasksCompleted,
            tasksFailed, revision, dirty, announcedAt}
minutes    {_id: campaign/minute/message[/variation], campaignId, minute, messageId, variationId, sent, …}
shards     {_id: execution:shard, windows [[first, last]…], completed, at}
executions {_id: execution, planned, ended, end {completed, at (ms), failed} | null, at}
campaigns  {_id: campaign, org, name (empty once deleted), sequence, deleted}
links      see mongo_links
prices     {_id: org, costPerMessage, revision, dirty (its campaigns do not show it yet)}

States of shards and executions are forgotten after `REMEMBER`: longer than Kafka keeps an event, so no
replay can bring one back. Only a failure is kept (`at` is null): it may be mended at any time, and what
it counted is taken back then.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from pymongo import UpdateOne
from service_kit.clock import Clock
from service_kit.mongo.client import Collection, Database, Document, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.mongo_links import LINKS, keep_link
from stats_service.domain.facts import CampaignSeen, End, PriceSet
from stats_service.domain.fold import Changes, ExecutionState, Known, MinuteKey, ShardKey, ShardState
from stats_service.domain.numbers import Counts, Numbers

REMEMBER = timedelta(days=120)
NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class MongoLedger:
    """The ledger of one database."""

    def __init__(self, database: Database, *, clock: Clock) -> None:
        self._numbers = database["numbers"]
        self._minutes = database["minutes"]
        self._shards = database["shards"]
        self._executions = database["executions"]
        self._campaigns = database["campaigns"]
        self._links = database[LINKS]
        self._prices = database["prices"]
        self._clock = clock

    async def prepare(self) -> None:
        """Create the indexes."""
        seconds = int(REMEMBER.total_seconds())
        await self._numbers.create_index([("dirty", 1), ("announcedAt", 1)])
        await self._numbers.create_index("org")
        await self._prices.create_index("dirty")
        await self._minutes.create_index([("campaignId", 1), ("minute", 1)])
        await self._shards.create_index("at", expireAfterSeconds=seconds)
        await self._executions.create_index("at", expireAfterSeconds=seconds)

    async def known(self, tx: Tx, shards: Iterable[ShardKey], executions: Iterable[str]) -> Known:
        """What has been counted of these."""
        session = session_of(tx)
        rows = await _by_id(self._shards, (_shard_id(key) for key in shards), session)
        known_shards = {
            _shard_key(row["_id"]): ShardState(
                tuple((first, last) for first, last in row["windows"]), row["completed"]
            )
            for row in rows
        }
        rows = await _by_id(self._executions, executions, session)
        return Known(known_shards, {row["_id"]: ExecutionState(row["planned"], _end(row)) for row in rows})

    async def apply(self, tx: Tx, changes: Changes) -> None:
        """Store `changes`, and mark the campaigns whose numbers moved."""
        session, now = session_of(tx), self._clock.now()
        await _write(self._shards, [_set_shard(*item, now) for item in changes.shards.items()], session)
        await _write(
            self._executions, [_set_execution(*item, now) for item in changes.executions.items()], session
        )
        await _write(self._numbers, [_add_numbers(*item) for item in changes.numbers.items()], session)
        await _write(self._minutes, [_add_minute(*item) for item in changes.minutes.items()], session)
        await _write(self._links, [keep_link(link) for link in changes.links], session)
        await self._see(changes.campaigns, session)
        await self._price(changes.prices, session)

    async def _see(self, campaigns: dict[str, CampaignSeen], session: Session) -> None:
        """Keep the newest state of each campaign; its organisation never changes."""
        rows = await _by_id(self._campaigns, campaigns, session)
        newest = {row["_id"]: row["sequence"] for row in rows}
        updates = [
            UpdateOne(
                {"_id": seen.campaign},
                {
                    "$set": {"name": seen.name, "sequence": seen.sequence, "deleted": seen.deleted},
                    "$setOnInsert": {"org": seen.org},
                },
                upsert=True,
            )
            for seen in campaigns.values()
            if newest.get(seen.campaign, -1) < seen.sequence
        ]
        await _write(self._campaigns, updates, session)

    async def _price(self, prices: dict[str, PriceSet], session: Session) -> None:
        """Keep the newest price of each organisation."""
        known = {row["_id"]: row for row in await _by_id(self._prices, prices, session)}
        updates = []
        for price in prices.values():
            before = known.get(price.org, {"costPerMessage": 0, "revision": 0})
            if price.revision <= before["revision"]:
                continue
            fields: Document = {"costPerMessage": price.cost_per_message, "revision": price.revision}
            if price.cost_per_message != before["costPerMessage"]:
                fields["dirty"] = True
            updates.append(UpdateOne({"_id": price.org}, {"$set": fields}, upsert=True))
        await _write(self._prices, updates, session)


async def _by_id(collection: Collection, ids: Iterable[str], session: Session) -> list[Document]:
    wanted = sorted(set(ids))
    if not wanted:
        return []
    return await collection.find({"_id": {"$in": wanted}}, session=session).to_list(None)


async def _write(collection: Collection, updates: list[UpdateOne], session: Session) -> None:
    if updates:
        await collection.bulk_write(updates, ordered=False, session=session)


def _shard_id(key: ShardKey) -> str:
    return f"{key.execution}:{key.shard}"


def _shard_key(identifier: str) -> ShardKey:
    execution, _, shard = identifier.rpartition(":")
    return ShardKey(execution, int(shard))


def _set_shard(key: ShardKey, state: ShardState, now: datetime) -> UpdateOne:
    windows = [list(part) for part in state.windows]
    return UpdateOne(
        {"_id": _shard_id(key)},
        {"$set": {"windows": windows, "completed": state.completed, "at": now}},
        upsert=True,
    )


def _end(row: Document) -> End | None:
    """The end that was counted. A row of before ends were kept says only that there was one: it is final,
    because what it counted is not known and so can neither be taken back nor told from its replay."""
    if end := row.get("end"):
        return End(end["completed"], end["at"], end["failed"])
    return End(completed=True, at=0, failed=0) if row["ended"] else None


def _set_execution(execution: str, state: ExecutionState, now: datetime) -> UpdateOne:
    end = state.end
    fields: Document = {
        "planned": state.planned,
        "ended": end is not None,  # for replicas of the version before, which know of no `end`
        "end": end and {"completed": end.completed, "at": end.at, "failed": end.failed},
        "at": now if end is None or end.completed else None,
    }
    return UpdateOne({"_id": execution}, {"$set": fields}, upsert=True)


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "failed": counts.failed,
        "skipped": counts.skipped,
        "unknown": counts.unknown,
    }


def _add_numbers(campaign: str, numbers: Numbers) -> UpdateOne:
    tasks = numbers.tasks
    more = _counts(numbers.counts) | {
        "tasksTotal": tasks.total,
        "tasksCompleted": tasks.completed,
        "tasksFailed": tasks.failed,
        "revision": 1,
    }
    return UpdateOne(
        {"_id": campaign},
        {
            "$inc": more,
            "$set": {"dirty": True},
            "$setOnInsert": {"org": numbers.org, "announcedAt": NEVER},
        },
        upsert=True,
    )


def _add_minute(key: MinuteKey, counts: Counts) -> UpdateOne:
    parts = [key.campaign, str(key.minute), key.message]
    if key.variation is not None:
        parts.append(key.variation)
    return UpdateOne(
        {"_id": "/".join(quote(part, safe="") for part in parts)},
        {
            "$inc": _counts(counts),
            "$setOnInsert": {
                "campaignId": key.campaign,
                "minute": key.minute,
                "messageId": key.message,
                "variationId": key.variation,
            },
        },
        upsert=True,
    )
