"""POST /campaigns/:id/retry on a real database."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from campaign_service.application.parts import ConsumerParts
from campaign_service.entrypoints.subscriptions import subscriptions
from contracts.envelope import new_event
from contracts.events.campaign import Totals
from contracts.events.execution import ExecutionCompleted

pytestmark = pytest.mark.integration
Create = Callable[..., Awaitable[str]]
TOTALS = Totals(targeted=3, successful=1, failed=2, skipped=0, unknown=0)


@pytest.fixture
def completed(api: httpx.AsyncClient, consumer_parts: ConsumerParts, create: Create) -> Create:
    """Makes a campaign whose execution has completed; its id."""

    async def make(**changes: Any) -> str:
        campaign_id = await create(**changes)
        answer = await api.post(f"/campaigns/{campaign_id}/execute")
        assert answer.status_code == 200, answer.text
        now = consumer_parts.clock.now()
        data = ExecutionCompleted(
            campaign_id=campaign_id, execution_id=answer.json()["data"]["executionId"], totals=TOTALS,
            completed_at=now,
        )  # fmt: skip
        event = new_event(data, source="test", subject=campaign_id, org="acme", time=now)
        await subscriptions(consumer_parts)[ExecutionCompleted](event)
        return campaign_id

    return make


async def test_of_twenty_retries_at_once_one_wins(api: httpx.AsyncClient, completed: Create) -> None:
    campaign_id = await completed()
    answers = await asyncio.gather(*(api.post(f"/campaigns/{campaign_id}/retry") for _ in range(20)))
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 19}
    [won] = [answer.json()["data"] for answer in answers if answer.status_code == 200]
    assert (won["status"], won["message"]) == ("started", "Campaign execution started")
    shown = (await api.get(f"/campaigns/{campaign_id}")).json()["data"]
    assert (shown["status"], shown["failure"]) == ("active", None)
    for command, status in (("pause", "paused"), ("resume", "active"), ("cancel", "cancelled")):
        answer = await api.post(f"/campaigns/{campaign_id}/{command}")
        assert (answer.status_code, answer.json()["data"]["status"]) == (200, status)
    assert (await api.post(f"/campaigns/{campaign_id}/retry")).status_code == 409


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"statuses": []}, "statuses"),
        ({"statuses": ["successful"]}, "statuses"),
        ({"statuses": "failed"}, "statuses"),
        ({"errorCodes": []}, "errorCodes"),
        ({"errorCodes": ["user blocked"]}, "errorCodes"),
        ({"errorCodes": ["X"] * 51}, "errorCodes"),
        ({"testMode": True}, "testMode"),
    ],
)
async def test_what_a_retry_may_not_be_asked_for_is_named(
    api: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await api.post("/campaigns/camp_x/retry", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"].startswith(field)


async def test_nobody_to_retry_is_told_and_changes_nothing(
    api: httpx.AsyncClient, world: Any, completed: Create
) -> None:
    campaign_id = await completed()
    before = await api.get(f"/campaigns/{campaign_id}")
    world.preflight.answer = replace(world.preflight.answer, total_count=0, targeted=0)
    answer = await api.post(f"/campaigns/{campaign_id}/retry", json={"statuses": ["unknown", "skipped"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "NOTHING_TO_RETRY")
    after = await api.get(f"/campaigns/{campaign_id}")
    assert (after.json()["data"], after.headers["ETag"]) == (before.json()["data"], before.headers["ETag"])
