"""Which indexes MongoDB walks: what has long ended must not make what waits, or a page of the log, slower."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.ids import lowest_id
from webhook_service.adapters.mongo_deliveries import MongoDeliveries

pytestmark = pytest.mark.integration


class Watched:
    """The collection; keeps the cursors of what is looked for."""

    def __init__(self, rows: Any) -> None:
        self._rows, self.cursors = rows, list[Any]()

    def find(self, *args: Any) -> Any:
        self.cursors.append(self._rows.find(*args))
        return self.cursors[-1]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rows, name)


async def bounds(cursor: Any) -> dict[str, list[str]]:
    """What of an index is walked for it, without a sort in memory."""
    stage = (await cursor.clone().explain())["queryPlanner"]["winningPlan"]
    while stage["stage"] != "IXSCAN":
        assert stage["stage"] not in ("COLLSCAN", "SORT"), stage
        stage = stage["inputStage"]
    found: dict[str, list[str]] = stage["indexBounds"]
    return found


async def test_lanes_pages_and_recoveries_walk_what_they_ask_for_and_no_more(
    mongo_database: Any, now: datetime
):
    watched = Watched(mongo_database["deliveries"])
    deliveries = MongoDeliveries({"deliveries": watched}, record_seconds=1)  # type: ignore[arg-type]
    await deliveries.prepare(retention_days=30)
    await deliveries.page("wh_1", statuses=(), event_type="campaign.created", before="dlv_2", limit=5)
    await deliveries.blockers([("wh_1", "camp_1")], now=now)
    await deliveries.ended("wh_1", since=now, until=now + timedelta(days=1), after=None, limit=5)
    page, lane, recovery = [await bounds(cursor) for cursor in watched.cursors]
    assert page["type"] == ['["campaign.created", "campaign.created"]']
    assert lane["campaignId"] == ['["camp_1", "camp_1"]'] and lane["status"] == ['["pending", "pending"]']
    first = lowest_id("dlv", (now - timedelta(hours=1)).timestamp())
    last = lowest_id("dlv", (now + timedelta(hours=25)).timestamp())
    assert recovery["id"] == [f'["{first}", "{last}")']


async def test_any_time_may_be_recovered(mongo_database: Any):
    deliveries = MongoDeliveries(mongo_database, record_seconds=1)
    since, until = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert await deliveries.ended("wh_1", since=since, until=until, after=None, limit=5) == []
