"""Deliveries in MongoDB, and their leases.

`deliveries` {_id: `<endpointId>:<eventId>`, id, org, endpointId, eventId, type, campaignId, sequence, body,
status, attempts[], forgiven, nextAttemptAt, dueAt, lapsesAt, claim, epoch, responseBody, createdAt, endedAt}.
`forgiven`: how many of the attempts came before the last recovery, and do not count.

Mental model: `status: pending` with `dueAt` in the past is free. Taking it sets `claim` (a name that
nobody else uses), moves `dueAt` to the lease's end and raises `epoch`, in one atomic update per document,
so of two takers one finds it due no more. Who writes about what it has taken names the claim: a later one
is another. `dueAt` is for machines, `nextAttemptAt` for people: it stays where the schedule put it, and says
where `dueAt` goes back to when a pause ends early. `lapsesAt` is when it stops to hold up its lane. `endedAt`
is a date only while it is not pending: from then on the row is kept for so long, and one that waits for ever.
"""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import stamina
from contracts.ids import lowest_id, new_ulid
from pymongo.errors import BulkWriteError, OperationFailure
from pymongo.results import UpdateResult
from service_kit.errors import AlreadyHandled
from service_kit.mongo.client import Database, is_unavailable
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from webhook_service.adapters.delivery_rows import (
    CLAIM_FIELDS,
    claim_from,
    delivery_from,
    due_from,
    recording,
    row_from,
)
from webhook_service.adapters.mongo_waiting import MongoWaiting, settled
from webhook_service.domain.delivery import Claim, Delivery, Due, Ended, Outcome, Status

COLLECTION = "deliveries"
DUPLICATE_KEY = 11000
_ENDED = {"status": {"$in": [Status.FAILED.value, Status.PARKED.value]}}
OLD_EXPIRY = "createdAt_1"
SKEW_SECONDS = 3600.0
"""An id has its own look at the clock; of what was made in a time, ids may lie so far outside of it."""
GROUP = 64
"""Outcomes in one write: each row searches them all."""


class MongoDeliveries(MongoWaiting):
    """The Deliveries port. `record_seconds`: how long to insist on a record while MongoDB is away."""

    def __init__(self, database: Database, *, record_seconds: float) -> None:
        super().__init__(database[COLLECTION])
        self._record_seconds = record_seconds

    async def prepare(self, *, retention_days: int) -> None:
        """Create the indexes: what is due, an endpoint's log, its lanes, the end."""
        # The endpoint is in the index so that a busy one's backlog is skipped without reading documents.
        await self._rows.create_index([("status", 1), ("dueAt", 1), ("sequence", 1), ("endpointId", 1)])
        await self._rows.create_index([("endpointId", 1), ("id", -1)])
        await self._rows.create_index([("endpointId", 1), ("status", 1), ("id", -1)])
        await self._rows.create_index([("endpointId", 1), ("type", 1), ("id", -1)])
        # By status before the sequence: a lane is what waits in it, not the campaign's whole past.
        await self._rows.create_index([("endpointId", 1), ("status", 1), ("campaignId", 1), ("sequence", 1)])
        await self._rows.create_index(
            "endedAt", expireAfterSeconds=int(timedelta(days=retention_days).total_seconds())
        )
        await self._forget_old_expiry()

    async def _forget_old_expiry(self) -> None:
        """Once, rows expired by `createdAt`, also while they were pending."""
        if OLD_EXPIRY not in await self._rows.index_information():
            return
        await self._rows.update_many(
            {"endedAt": {"$exists": False}, "status": {"$ne": Status.PENDING.value}},
            [{"$set": {"endedAt": "$createdAt"}}],
        )
        with suppress(OperationFailure):  # another process was faster
            await self._rows.drop_index(OLD_EXPIRY)

    async def add(self, tx: Tx, deliveries: Sequence[Delivery]) -> None:
        """Store new deliveries, due at once. Raises AlreadyHandled when one of them exists."""
        if not deliveries:
            return
        try:
            await self._rows.insert_many([row_from(item) for item in deliveries], session=session_of(tx))
        except BulkWriteError as error:
            if _only_there_already(error):
                raise AlreadyHandled(deliveries[0].event_id) from error
            raise

    async def ensure(self, deliveries: Sequence[Delivery]) -> None:
        """Store those that are not there yet, each by itself: it may have stored some when it raises."""
        try:
            await self._rows.insert_many([row_from(item) for item in deliveries], ordered=False)
        except BulkWriteError as error:
            if not _only_there_already(error):
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

    async def due(
        self, *, now: datetime, limit: int, except_endpoints: Sequence[str], since: datetime | None = None
    ) -> list[Due]:
        """Deliveries that may be taken, longest due first; with `since`, those that came due since then."""
        span = {"$lte": now} if since is None else {"$gte": since, "$lte": now}
        query: dict[str, Any] = {"status": Status.PENDING.value, "dueAt": span}
        if except_endpoints:
            query["endpointId"] = {"$nin": list(except_endpoints)}
        cursor = self._rows.find(query, {"endpointId": 1, "campaignId": 1, "sequence": 1})
        rows = await cursor.sort([("dueAt", 1), ("sequence", 1)]).limit(limit).to_list(limit)
        return [due_from(row) for row in rows]

    async def claim(self, keys: Sequence[str], *, now: datetime, until: datetime) -> list[Claim]:
        """Take those of `keys` that are still due; nobody else gets them before `until`."""
        if not keys:
            return []
        token = new_ulid()
        taken = await self._rows.update_many(
            {"_id": {"$in": list(keys)}, "status": Status.PENDING.value, "dueAt": {"$lte": now}},
            {"$set": {"claim": token, "dueAt": until}, "$inc": {"epoch": 1}},
        )
        if not taken.modified_count:
            return []
        cursor = self._rows.find({"_id": {"$in": list(keys)}, "claim": token}, CLAIM_FIELDS)
        return [claim_from(row) for row in await cursor.to_list(None)]

    async def record(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """Store attempts and what becomes of their deliveries; which ones were stored.

        A short outage is waited for: the attempts have been made, and forgetting them would repeat them.
        """
        stored: list[bool] = []
        for start in range(0, len(outcomes), GROUP):
            group = outcomes[start : start + GROUP]
            mine = _held([item.claim for item in group])
            changed = await self._insist(mine, recording(group))
            # Where all were changed, all were ours. Else, or when an answer was lost, the rows tell.
            stored += (
                [True] * len(group) if changed.modified_count == len(group) else await self._stored(group)
            )
        return stored

    async def _stored(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """Which of these attempts are in the log: by the epochs of the claims under which they were made."""
        keys = [item.claim.key for item in outcomes]
        cursor = self._rows.find({"_id": {"$in": keys}}, {"attempts.epoch": 1})
        made = {
            (row["_id"], attempt.get("epoch"))
            for row in await cursor.to_list(None)
            for attempt in row["attempts"]
        }
        return [(item.claim.key, item.claim.epoch) in made for item in outcomes]

    async def settle(self, claims: Sequence[Claim], status: Status) -> int:
        """End or park them without an attempt. How many; the others' claims are lost."""
        change = {**settled(status), "$inc": {"epoch": 1}}
        changed = await self._insist(_held(claims), change)
        return int(changed.modified_count)

    async def give_back(self, claims: Sequence[Claim], *, due_at: datetime) -> None:
        """Let anybody take them from `due_at` on, but those whose claims are lost."""
        if claims:
            await self._rows.update_many(_held(claims), {"$set": {"claim": None, "dueAt": due_at}})

    async def _insist(self, mine: dict[str, Any], change: Any) -> UpdateResult:
        """Change what is still ours, through a short outage. It ends the claims: it may be repeated."""
        async for attempt in stamina.retry_context(
            on=is_unavailable, attempts=None, timeout=self._record_seconds, wait_initial=0.05, wait_max=1
        ):
            with attempt:
                return await self._rows.update_many(mine, change)
        raise AssertionError("unreachable: the last attempt raises")

    async def retry(self, endpoint_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Let one attempt more be made at once. False, and nothing, while somebody has it."""
        changed = await self._rows.update_one(
            {
                "endpointId": endpoint_id,
                "id": delivery_id,
                "$or": [{"claim": None}, {"dueAt": {"$lte": now}}],
            },
            {"$set": _free(now), "$inc": {"epoch": 1}},
        )
        return changed.modified_count == 1

    async def ended(
        self, endpoint_id: str, *, since: datetime, until: datetime, after: str | None, limit: int
    ) -> list[Ended]:
        """What failed or was parked of what was made from `since` until before `until`, oldest first."""
        ids: dict[str, Any] = {"$gte": _first_id(since, -SKEW_SECONDS), "$lt": _first_id(until, SKEW_SECONDS)}
        if after is not None:
            ids["$gt"] = after
        made = {"createdAt": {"$gte": since, "$lt": until}, "id": ids}
        fields = {"id": 1, "endpointId": 1, "campaignId": 1, "sequence": 1}
        found = self._rows.find({"endpointId": endpoint_id, **_ENDED, **made}, fields)
        found = found.sort("id", 1).limit(limit)
        return [Ended(row["id"], due_from(row)) for row in await found.to_list(limit)]

    async def revive(self, keys: Sequence[str], *, now: datetime, due_at: datetime | None = None) -> int:
        """Begin afresh with those of `keys` that failed or were parked. How many. `due_at` None: at once."""
        changed = await self._rows.update_many(
            {"_id": {"$in": list(keys)}, **_ENDED},
            [
                {
                    "$set": {
                        **_free(now),
                        "dueAt": due_at or now,
                        "forgiven": {"$size": "$attempts"},
                        "epoch": {"$add": ["$epoch", 1]},
                    }
                }
            ],
        )
        return changed.modified_count

    async def count_due(self, *, now: datetime, limit: int) -> int:
        """How many are due now, counted to `limit` at most."""
        return await self._rows.count_documents(
            {"status": Status.PENDING.value, "dueAt": {"$lte": now}}, limit=limit
        )


def _only_there_already(error: BulkWriteError) -> bool:
    details = error.details or {}
    codes = {item["code"] for item in details.get("writeErrors", [])}
    return codes == {DUPLICATE_KEY} and not details.get("writeConcernErrors")


def _held(claims: Sequence[Claim]) -> dict[str, Any]:
    """The rows that these claims still hold. A process has one claim at most on a delivery."""
    return {
        "_id": {"$in": [claim.key for claim in claims]},
        "claim": {"$in": list({claim.token for claim in claims})},
        "status": Status.PENDING.value,
    }


def _first_id(at: datetime, shift: float) -> str:
    """Below the ids of all deliveries made from `shift` seconds after `at` on."""
    return lowest_id("dlv", at.timestamp() + shift)


def _free(now: datetime) -> dict[str, Any]:
    return {
        "status": Status.PENDING.value,
        "nextAttemptAt": now,
        "dueAt": now,
        "lapsesAt": None,
        "claim": None,
        "endedAt": None,
    }
