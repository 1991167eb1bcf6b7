"""Endpoints in MongoDB.

`endpoints` {_id, org, url, events[], campaignIds[], description, active, ordered, headers[] {name, sealed},
rateLimit, secrets[] {sealed, expiresAt}, disabledReason, failingSince, lastSuccessAt, version, createdAt,
updatedAt}. Headers are pairs, since their names may hold dots.
"""

from datetime import datetime
from typing import Any

from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from webhook_service.domain.endpoint import DisabledReason, Endpoint, Secret
from webhook_service.domain.errors import VersionConflict

COLLECTION = "endpoints"


class MongoEndpoints:
    """The Endpoints port."""

    def __init__(self, database: Database) -> None:
        self._rows = database[COLLECTION]

    async def prepare(self) -> None:
        """Create the indexes: an organisation's list, newest first, and its active endpoints."""
        await self._rows.create_index([("org", 1), ("_id", -1)])
        await self._rows.create_index([("org", 1), ("active", 1)])

    async def add(self, tx: Tx, endpoint: Endpoint) -> None:
        """Store a new endpoint."""
        await self._rows.insert_one(_row(endpoint), session=session_of(tx))

    async def save(self, tx: Tx, endpoint: Endpoint, *, expected_version: int, enabled: bool) -> None:
        """Store what its owner decides, if its version is still `expected_version`. Raises VersionConflict.

        What the deliverer notes beside is left alone, unless it was switched on just now (`enabled`): then
        it begins afresh.
        """
        afresh = {"disabledReason": None, "failingSince": None} if enabled else {}
        changed = await self._rows.update_one(
            {"_id": endpoint.id, "org": endpoint.org, "version": _stored(expected_version)},
            {"$set": {**_owned(endpoint), **afresh, "version": endpoint.version}},
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

    async def active(self, tx: Tx, org: str) -> list[Endpoint]:
        """The endpoints of `org` that are switched on, as `tx` sees them."""
        cursor = self._rows.find({"org": org, "active": True}, session=session_of(tx))
        return [_endpoint(row) for row in await cursor.to_list(None)]

    async def disable(self, org: str, endpoint_id: str, *, reason: DisabledReason, now: datetime) -> bool:
        """Switch it off. Whether it was on."""
        changed = await self._rows.update_one(
            {"_id": endpoint_id, "org": org, "active": True},
            {
                "$set": {"active": False, "disabledReason": reason.value, "updatedAt": now},
                "$inc": {"version": 1},
            },
        )
        return changed.modified_count == 1

    async def remove(self, org: str, endpoint_id: str) -> bool:
        """Delete it. Whether it was there."""
        return (await self._rows.delete_one({"_id": endpoint_id, "org": org})).deleted_count == 1


def _row(endpoint: Endpoint) -> Document:
    return {
        "_id": endpoint.id,
        "org": endpoint.org,
        **_owned(endpoint),
        "disabledReason": endpoint.disabled_reason,
        "failingSince": endpoint.failing_since,
        "lastSuccessAt": endpoint.last_success_at,
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
        last_success_at=row.get("lastSuccessAt"),
        version=row.get("version", 0),
    )


def _stored(version: int) -> Any:
    """What is stored of `version`: rows of before it was counted have none."""
    return version if version else {"$in": [0, None]}


def _secrets(row: Document) -> tuple[Secret, ...]:
    if "secrets" not in row:
        return (Secret(row["secretSealed"]),)
    return tuple(Secret(item["sealed"], item["expiresAt"]) for item in row["secrets"])
