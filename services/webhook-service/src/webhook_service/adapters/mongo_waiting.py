"""What makes deliveries wait, and wait no longer: pauses of endpoints and lanes. See `mongo_deliveries`."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from service_kit.mongo.client import Collection as Rows

from webhook_service.adapters.delivery_rows import blocker_from
from webhook_service.domain.delivery import Blocker, Lane, Status

_WAITING = {"status": Status.PENDING.value, "claim": None}


class MongoWaiting:
    """This part of the Deliveries port."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    async def postpone(self, keys: Sequence[str], *, now: datetime, until: datetime) -> None:
        """Let those of `keys` that are due wait until then."""
        if keys:
            due = {"_id": {"$in": list(keys)}, "status": Status.PENDING.value, "dueAt": {"$lte": now}}
            # A lease that has ended must not look like one that holds.
            await self._rows.update_many(due, {"$set": {"dueAt": until, "claim": None}})

    async def release(self, endpoint_id: str, *, now: datetime) -> None:
        """Make due again what waits longer than its own schedule says."""
        await self._rows.update_many({"endpointId": endpoint_id, **_late(now)}, {"$set": {"dueAt": now}})

    async def wake(self, keys: Sequence[str], *, now: datetime) -> None:
        """Make those of `keys` due that wait, untaken, longer than their own schedules say."""
        if keys:
            await self._rows.update_many({"_id": {"$in": list(keys)}, **_late(now)}, {"$set": {"dueAt": now}})

    async def blockers(self, lanes: Collection[Lane], *, now: datetime) -> dict[Lane, Blocker]:
        """Of each of the lanes what holds it up: what is taken, else the first that has not lapsed."""
        campaigns: dict[str, list[str]] = defaultdict(list)
        for endpoint_id, campaign_id in lanes:
            campaigns[endpoint_id].append(campaign_id)
        found: dict[Lane, Blocker] = {}
        for endpoint_id, wanted in campaigns.items():
            query = {
                "endpointId": endpoint_id,
                "campaignId": {"$in": wanted},
                "status": Status.PENDING.value,
                "$or": [
                    {"lapsesAt": None},
                    {"lapsesAt": {"$gt": now}},
                    {"claim": {"$ne": None}, "dueAt": {"$gt": now}},
                ],
            }
            fields = {"campaignId": 1, "sequence": 1, "dueAt": 1, "lapsesAt": 1, "claim": 1}
            for row in await self._rows.find(query, fields).to_list(None):
                lane, blocker = (endpoint_id, row["campaignId"]), blocker_from(row, now=now)
                if lane not in found or blocker.before(found[lane]):
                    found[lane] = blocker
        return found

    async def settle_all(self, endpoint_id: str, status: Status) -> int:
        """End or park all that an endpoint still waits for, but what is taken just now. How many.

        What is taken keeps its right to record a success; otherwise the deliverer settles it when it is
        due again, since it looks at the endpoint first.
        """
        waiting = [Status.PENDING.value]
        if status is not Status.PARKED:
            waiting.append(Status.PARKED.value)
        changed = await self._rows.update_many(
            {"endpointId": endpoint_id, "status": {"$in": waiting}, "claim": None}, settled(status)
        )
        return changed.modified_count


def settled(status: Status) -> dict[str, Any]:
    """The change to a delivery that ends without an attempt, or is parked."""
    return {
        "$set": {"status": status.value, "nextAttemptAt": None, "dueAt": None, "claim": None},
        "$currentDate": {"endedAt": True},
    }


def _late(now: datetime) -> dict[str, Any]:
    return {**_WAITING, "nextAttemptAt": {"$lte": now}, "dueAt": {"$gt": now}}
