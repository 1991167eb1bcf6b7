"""Deliveries in MongoDB, and their leases.

`deliveries` {_id: `<endpointId>:<eventId>`, id, org, endpointId, eventId, type, campaignId, sequence, body,
status, attempts[], forgiven, nextAttemptAt, dueAt, claim, epoch, responseBody, createdAt}. `forgiven`: how
many of the attempts came before the last recovery, and do not count.

Mental model: `status: pending` with `dueAt` in the past is free. Taking it sets `claim` (a name that
nobody else uses), moves `dueAt` to the lease's end and raises `epoch`, in one atomic update per document,
so of two takers one finds it due no more. `dueAt` is for machines, `nextAttemptAt` for people: it stays
where the schedule put it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import stamina
from contracts.ids import new_ulid
from pymongo.errors import BulkWriteError
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database, is_unavailable
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from webhook_service.adapters.delivery_rows import claim_from, delivery_from, row_from
from webhook_service.domain.delivery import Attempt, Claim, Delivery, Due, Status
from webhook_service.domain.retry import Verdict

COLLECTION = "deliveries"
DUPLICATE_KEY = 11000
_CLAIM_FIELDS = {
    "org": 1, "endpointId": 1, "eventId": 1, "type": 1, "campaignId": 1, "body": 1, "epoch": 1,
    "attempts.at": 1, "forgiven": 1, "createdAt": 1,
}  # fmt: skip


class MongoDeliveries:
    """The Deliveries port. `record_seconds`: how long to insist on a record while MongoDB is away."""

    def __init__(self, database: Database, *, record_seconds: float) -> None:
        self._rows = database[COLLECTION]
        self._record_seconds = record_seconds

    async def prepare(self, *, retention_days: int) -> None:
        """Create the indexes: what is due, an endpoint's log, the end."""
        # The endpoint is in the index so that a busy one's backlog is skipped without reading documents.
        await self._rows.create_index([("status", 1), ("dueAt", 1), ("sequence", 1), ("endpointId", 1)])
        await self._rows.create_index([("endpointId", 1), ("id", -1)])
        await self._rows.create_index([("endpointId", 1), ("status", 1), ("id", -1)])
        await self._rows.create_index(
            "createdAt", expireAfterSeconds=int(timedelta(days=retention_days).total_seconds())
        )

    async def add(self, tx: Tx, deliveries: Sequence[Delivery]) -> None:
        """Store new deliveries, due at once. Raises AlreadyHandled when one of them exists."""
        if not deliveries:
            return
        try:
            await self._rows.insert_many([row_from(item) for item in deliveries], session=session_of(tx))
        except BulkWriteError as error:
            codes = {item["code"] for item in (error.details or {}).get("writeErrors", [])}
            if codes == {DUPLICATE_KEY}:
                raise AlreadyHandled(deliveries[0].event_id) from error
            raise

    async def page(
        self, endpoint_id: str, *, statuses: Sequence[Status], event_type: str | None, before: str | None,
        limit: int,
    ) -> list[Delivery]:  # fmt: skip
        """Deliveries to an endpoint, newest first, those with an id below `before`."""
        query: dict[str, Any] = {"endpointId": endpoint_id}
        if statuses:
            query["status"] = {"$in": [status.value for status in statuses]}
        if event_type is not None:
            query["type"] = event_type
        if before is not None:
            query["id"] = {"$lt": before}
        rows = await self._rows.find(query).sort("id", -1).limit(limit).to_list(limit)
        return [delivery_from(row) for row in rows]

    async def find(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """The delivery to this endpoint, or None."""
        row = await self._rows.find_one({"endpointId": endpoint_id, "id": delivery_id})
        return None if row is None else delivery_from(row)

    async def due(self, *, now: datetime, limit: int, except_endpoints: Sequence[str]) -> list[Due]:
        """Deliveries that may be taken, longest due first."""
        query: dict[str, Any] = {"status": Status.PENDING.value, "dueAt": {"$lte": now}}
        if except_endpoints:
            query["endpointId"] = {"$nin": list(except_endpoints)}
        cursor = self._rows.find(query, {"endpointId": 1, "campaignId": 1})
        rows = await cursor.sort([("dueAt", 1), ("sequence", 1)]).limit(limit).to_list(limit)
        return [Due(row["_id"], row["endpointId"], row["campaignId"]) for row in rows]

    async def claim(self, keys: Sequence[str], *, now: datetime, until: datetime) -> list[Claim]:
        """Take those of `keys` that are still due; nobody else gets them before `until`."""
        if not keys:
            return []
        claim = new_ulid()
        taken = await self._rows.update_many(
            {"_id": {"$in": list(keys)}, "status": Status.PENDING.value, "dueAt": {"$lte": now}},
            {"$set": {"claim": claim, "dueAt": until}, "$inc": {"epoch": 1}},
        )
        if not taken.modified_count:
            return []
        cursor = self._rows.find({"_id": {"$in": list(keys)}, "claim": claim}, _CLAIM_FIELDS)
        return [claim_from(row) for row in await cursor.to_list(None)]

    async def record(
        self, claim: Claim, attempt: Attempt, verdict: Verdict, response_body: str | None
    ) -> bool:
        """Store an attempt and what becomes of the delivery. False, and nothing, when the claim is lost.

        A short outage is waited for: the attempt has been made, and forgetting it would repeat it.
        """
        entry = {
            "at": attempt.at,
            "statusCode": attempt.status_code,
            "durationMs": attempt.duration_ms,
            "error": attempt.error,
        }
        update = {
            "$push": {"attempts": entry},
            "$set": {
                "status": verdict.status.value,
                "nextAttemptAt": verdict.next_attempt_at,
                "dueAt": verdict.next_attempt_at,
                "claim": None,
                "responseBody": response_body,
            },
        }
        return await self._update(claim, update)

    async def settle(self, claim: Claim, status: Status) -> bool:
        """End or park it without an attempt. False, and nothing, when the claim is lost."""
        return await self._update(claim, {"$set": _settled(status)})

    async def _update(self, claim: Claim, update: dict[str, Any]) -> bool:
        """Update what is still ours, insisting through a short outage."""
        mine = {"_id": claim.key, "epoch": claim.epoch, "status": Status.PENDING.value}
        async for attempt in stamina.retry_context(
            on=is_unavailable, attempts=None, timeout=self._record_seconds, wait_max=1
        ):
            with attempt:
                # With the epoch raised, a repetition after a lost answer cannot add the attempt twice.
                changed = await self._rows.update_one(mine, {**update, "$inc": {"epoch": 1}})
        return changed.modified_count == 1

    async def settle_all(self, endpoint_id: str, status: Status) -> int:
        """End or park all that an endpoint still waits for, but what is taken just now. How many.

        What is taken keeps its right to record a success; otherwise the deliverer settles it when it is
        due again, since it looks at the endpoint first.
        """
        waiting = [Status.PENDING.value]
        if status is not Status.PARKED:
            waiting.append(Status.PARKED.value)
        changed = await self._rows.update_many(
            {"endpointId": endpoint_id, "status": {"$in": waiting}, "claim": None}, {"$set": _settled(status)}
        )
        return changed.modified_count

    async def retry(self, endpoint_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Let one attempt more be made at once. False, and nothing, while somebody has it."""
        changed = await self._rows.update_one(
            {"endpointId": endpoint_id, "id": delivery_id, "claim": None},
            {"$set": _free(now), "$inc": {"epoch": 1}},
        )
        return changed.modified_count == 1

    async def recover(
        self, endpoint_id: str, *, since: datetime, until: datetime, after: str | None, limit: int,
        now: datetime,
    ) -> tuple[int, str | None]:  # fmt: skip
        """Begin afresh with what failed or was parked; see the port."""
        ended = {
            "endpointId": endpoint_id,
            "status": {"$in": [Status.FAILED.value, Status.PARKED.value]},
            "createdAt": {"$gte": since, "$lt": until},
        }
        behind = {} if after is None else {"id": {"$gt": after}}
        found = self._rows.find({**ended, **behind}, {"id": 1}).sort("id", 1).limit(limit)
        rows = await found.to_list(limit)
        if not rows:
            return 0, None
        changed = await self._rows.update_many(
            {"_id": {"$in": [row["_id"] for row in rows]}, **ended},
            [{"$set": {**_free(now), "forgiven": {"$size": "$attempts"}, "epoch": {"$add": ["$epoch", 1]}}}],
        )
        return changed.modified_count, rows[-1]["id"] if len(rows) == limit else None

    async def count_due(self, *, now: datetime, limit: int) -> int:
        """How many are due now, counted to `limit` at most."""
        return await self._rows.count_documents(
            {"status": Status.PENDING.value, "dueAt": {"$lte": now}}, limit=limit
        )


def _free(now: datetime) -> dict[str, Any]:
    return {"status": Status.PENDING.value, "nextAttemptAt": now, "dueAt": now, "claim": None}


def _settled(status: Status) -> dict[str, Any]:
    return {"status": status.value, "nextAttemptAt": None, "dueAt": None, "claim": None}
