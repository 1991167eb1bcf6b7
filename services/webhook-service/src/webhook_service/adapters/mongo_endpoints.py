"""Endpoints in MongoDB.

`endpoints` {_id, org, url, events[], campaignIds[], description, active, ordered, headers[] {name, sealed},
rateLimit, secrets[] {sealed, expiresAt}, disabledReason, failingSince, lastFailureAt, lastSuccessAt,
failures, pauses, pausedUntil, version, createdAt, updatedAt}. Headers are pairs: their names may hold dots.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from pymongo import ReturnDocument
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from webhook_service.domain.endpoint import DisabledReason, Endpoint, Secret
from webhook_service.domain.errors import VersionConflict
from webhook_service.domain.health import SILENCE, Report

COLLECTION = "endpoints"
CALM: dict[str, Any] = {"failures": 0, "pauses": 0, "pausedUntil": None, "failingSince": None}
"""What is noted of an endpoint of which nothing bad is known."""


class MongoEndpoints:
    """The Endpoints port."""

    def __init__(self, database: Database) -> None:
        self._rows = database[COLLECTION]

    async def prepare(self) -> None:
        """Create the index: an organisation's list, newest first."""
        await self._rows.create_index([("org", 1), ("_id", -1)])

    async def add(self, tx: Tx, endpoint: Endpoint) -> None:
        """Store a new endpoint."""
        await self._rows.insert_one(_row(endpoint), session=session_of(tx))

    async def save(self, tx: Tx, endpoint: Endpoint, *, expected_version: int, afresh: bool) -> None:
        """Store what its owner decides, if its version is still `expected_version`. Raises VersionConflict.

        What the deliverer notes beside is left alone, unless it begins `afresh`.
        """
        changed = await self._rows.update_one(
            {"_id": endpoint.id, "org": endpoint.org, "version": _stored(expected_version)},
            {"$set": {**_owned(endpoint), **(CALM if afresh else {}), "version": endpoint.version}},
            session=session_of(tx),
        )
        if changed.matched_count == 0:
            raise VersionConflict

    async def find(self, org: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint, or None when this organisation has no such one."""
        row = await self._rows.find_one({"_id": endpoint_id, "org": org})
        return None if row is None else _endpoint(row)

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Endpoint], int]:
        """Endpoints of `org`, newest first (ids sort by creation), and how many there are in all."""
        cursor = self._rows.find({"org": org}).sort("_id", -1).skip(skip).limit(limit)
        rows = await cursor.to_list(limit)
        return [_endpoint(row) for row in rows], await self._rows.count_documents({"org": org})

    async def count(self, org: str, *, limit: int) -> int:
        """How many endpoints `org` has, counted to `limit` at most."""
        return await self._rows.count_documents({"org": org}, limit=limit)

    async def of_orgs(self, orgs: Collection[str]) -> list[Endpoint]:
        """All endpoints of these organisations, switched on or off."""
        rows = await self._rows.find({"org": {"$in": list(orgs)}}).to_list(None)
        return [_endpoint(row) for row in rows]

    async def by_ids(self, endpoint_ids: Collection[str]) -> dict[str, Endpoint]:
        """Those that are there, of any organisation."""
        rows = await self._rows.find({"_id": {"$in": list(endpoint_ids)}}).to_list(None)
        return {row["_id"]: _endpoint(row) for row in rows}

    async def disable(
        self, tx: Tx, endpoint: Endpoint, *, reason: DisabledReason, now: datetime
    ) -> Endpoint | None:
        """Switch it off, if it is on and its url still the same. The endpoint as it is then, else None."""
        row = await self._rows.find_one_and_update(
            {"_id": endpoint.id, "url": endpoint.url, "active": True},
            {
                "$set": {"active": False, "disabledReason": reason.value, "updatedAt": now},
                "$inc": {"version": 1},
            },
            return_document=ReturnDocument.AFTER,
            session=session_of(tx),
        )
        return None if row is None else _endpoint(row)

    async def note(self, endpoint: Endpoint, report: Report, *, now: datetime) -> Endpoint | None:
        """Store what answers of its url said of it. The endpoint as it is then, or None: it has moved."""
        row = await self._rows.find_one_and_update(
            {"_id": endpoint.id, "url": endpoint.url},
            [{"$set": _noted(report, now)}],
            return_document=ReturnDocument.AFTER,
        )
        return None if row is None else _endpoint(row)

    async def heal(self, endpoint_ids: Collection[str], *, now: datetime) -> None:
        """Note a success of those of them that are known to fail."""
        await self._rows.update_many(
            {"_id": {"$in": list(endpoint_ids)}, "failingSince": {"$ne": None}},
            {"$set": {"failures": 0, "failingSince": None, "lastSuccessAt": now}},
        )

    async def pause(self, endpoint: Endpoint, *, until: datetime, again: bool) -> bool:
        """Send nothing until then, if its url and pause are still those of `endpoint`; `again`: count it."""
        changed = await self._rows.update_one(
            {"_id": endpoint.id, "url": endpoint.url, "pausedUntil": endpoint.paused_until},
            {"$set": {"pausedUntil": until, "pauses": endpoint.pauses + again}},
        )
        return changed.modified_count == 1

    async def remove(self, org: str, endpoint_id: str, *, expected_version: int) -> bool:
        """Delete it. Whether it was there, in this version."""
        mine = {"_id": endpoint_id, "org": org, "version": _stored(expected_version)}
        return (await self._rows.delete_one(mine)).deleted_count == 1


def _noted(report: Report, now: datetime) -> dict[str, Any]:
    """What a report changes, as the fields of a pipeline's $set."""
    counted = {"$add": [{"$ifNull": ["$failures", 0]}, report.troubles]}
    changes: dict[str, Any] = {"failures": report.troubles if report.calmed else counted}
    if report.failing:
        changes["lastFailureAt"] = now
    if report.succeeded:
        changes |= {"lastSuccessAt": now, "failingSince": now if report.failing else None}
    elif report.failing:
        # Rows of before the last failure was noted have none: they go by the first.
        last = {"$ifNull": ["$lastFailureAt", {"$ifNull": ["$failingSince", now]}]}
        since = {"$ifNull": ["$failingSince", now]}
        changes["failingSince"] = {"$cond": [{"$lt": [last, now - SILENCE]}, now, since]}
    if report.probe_passed:
        changes |= {"pauses": 0, "pausedUntil": None}
    return changes


def _row(endpoint: Endpoint) -> Document:
    return {
        "_id": endpoint.id,
        "org": endpoint.org,
        **_owned(endpoint),
        "lastSuccessAt": endpoint.last_success_at,
        **CALM,
        "failingSince": endpoint.failing_since,
        "version": endpoint.version,
        "createdAt": endpoint.created_at,
    }


def _owned(endpoint: Endpoint) -> dict[str, Any]:
    """What the owner of the endpoint decides."""
    return {
        "url": endpoint.url,
        "events": list(endpoint.events),
        "campaignIds": list(endpoint.campaign_ids),
        "description": endpoint.description,
        "active": endpoint.active,
        "ordered": endpoint.ordered,
        "headers": [{"name": name, "sealed": sealed} for name, sealed in endpoint.headers.items()],
        "rateLimit": endpoint.rate_limit,
        "disabledReason": endpoint.disabled_reason,
        "secrets": [{"sealed": item.sealed, "expiresAt": item.expires_at} for item in endpoint.secrets],
        "updatedAt": endpoint.updated_at,
    }


def _endpoint(row: Document) -> Endpoint:
    """The endpoint in `row`; rows of before the fields were there have their defaults."""
    reason = row.get("disabledReason")
    return Endpoint(
        id=row["_id"],
        org=row["org"],
        url=row["url"],
        events=tuple(row["events"]),
        description=row["description"],
        active=row["active"],
        secrets=_secrets(row),
        created_at=row["createdAt"],
        updated_at=row["updatedAt"],
        campaign_ids=tuple(row.get("campaignIds", ())),
        headers={item["name"]: item["sealed"] for item in row.get("headers", ())},
        ordered=row.get("ordered", False),
        rate_limit=row.get("rateLimit"),
        disabled_reason=None if reason is None else DisabledReason(reason),
        failing_since=row.get("failingSince"),
        last_failure_at=row.get("lastFailureAt"),
        last_success_at=row.get("lastSuccessAt"),
        version=row.get("version", 0),
        failures=row.get("failures", 0),
        pauses=row.get("pauses", 0),
        paused_until=row.get("pausedUntil"),
    )


def _stored(version: int) -> Any:
    """What is stored of `version`: rows of before it was counted have none."""
    return version if version else {"$in": [0, None]}


def _secrets(row: Document) -> tuple[Secret, ...]:
    if "secrets" not in row:
        return (Secret(row["secretSealed"]),)
    return tuple(Secret(item["sealed"], item["expiresAt"]) for item in row["secrets"])
