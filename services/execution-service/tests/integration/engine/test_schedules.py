"""Executions that wait for their time: nothing is sent before, and progress says what is going on."""

from datetime import timedelta
from typing import Any

import httpx
import pytest
from contracts.events.campaign import (
    CampaignCancelled,
    CampaignDeleted,
    CampaignFailed,
    CampaignPaused,
    CampaignResumed,
    CampaignScheduled,
    Failure,
    Totals,
)
from contracts.ids import new_id
from execution_service.bootstrap_engine import make_planner

pytestmark = pytest.mark.integration
NOBODY = Totals(targeted=0, successful=0, failed=0, skipped=0, unknown=0)
MISSED = Failure(code="SCHEDULE_MISSED", message="the time for it passed while nobody was there")


@pytest.fixture
async def started(engine: Any) -> Any:
    """The start that the schedule is for; its contacts are there."""
    await engine.contacts(range(1, 31))
    return engine.started()


async def schedule(engine: Any, started: Any) -> None:
    at = engine.wiring.clock.now() + timedelta(hours=1)
    await engine.steer(CampaignScheduled, started, scheduled_at=at)


def at_last(engine: Any, started: Any) -> Any:
    """The same start as the campaign's next version."""
    return engine.event(started.data)


async def progress(engine: Any, api: httpx.AsyncClient, started: Any) -> dict[str, Any]:
    path = f"/campaigns/{started.data.campaign_id}/progress"
    answer = await api.get(path, headers=engine.bearer("viewer"))
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    numbers = data["progress"]
    assert numbers["total"] == numbers["processed"] + numbers["pending"]
    return data


async def test_a_schedule_waits_is_held_and_begins_with_the_same_execution(
    engine: Any, api: httpx.AsyncClient, started: Any
) -> None:
    execution_id = started.data.execution_id
    await schedule(engine, started)
    data = await progress(engine, api, started)
    assert (data["status"], data["executionId"], data["testMode"]) == ("scheduled", execution_id, False)
    assert set(data["progress"].values()) == {0}
    recipients = await api.get(
        f"/campaigns/{started.data.campaign_id}/recipients", headers=engine.bearer("viewer")
    )
    assert recipients.json()["data"]["recipients"] == []
    await engine.steer(CampaignPaused, started)
    assert (await progress(engine, api, started))["status"] == "paused"
    at = engine.wiring.clock.now() + timedelta(hours=2)
    await engine.steer(CampaignResumed, started, scheduled_at=at)
    assert (await progress(engine, api, started))["status"] == "scheduled"
    assert not await make_planner(engine.wiring).run_once("planner")
    await engine.accept(at_last(engine, started))
    assert (await progress(engine, api, started))["status"] == "running"
    async with engine.working():
        assert await make_planner(engine.wiring).run_once("planner")
        await engine.ended(execution_id)
    assert len(engine.deliveries()) == 30
    assert (await progress(engine, api, started))["status"] == "completed"


async def test_a_missed_schedule_shows_its_failure_and_begins_when_it_is_resumed(
    engine: Any, api: httpx.AsyncClient, started: Any
) -> None:
    await schedule(engine, started)
    await engine.steer(CampaignFailed, started, status="paused", failure=MISSED, totals=NOBODY)
    data = await progress(engine, api, started)
    assert (data["status"], data["failure"]["code"]) == ("failed", "SCHEDULE_MISSED")
    await engine.steer(CampaignResumed, started)
    await engine.accept(at_last(engine, started))
    data = await progress(engine, api, started)
    assert (data["status"], data["failure"]) == ("running", None)
    async with engine.working():
        assert await make_planner(engine.wiring).run_once("planner")
        await engine.ended(started.data.execution_id)
    assert len(engine.deliveries()) == 30


async def test_a_failure_whose_schedule_was_never_seen_is_shown_all_the_same(
    engine: Any, api: httpx.AsyncClient, started: Any
) -> None:
    await engine.steer(CampaignFailed, started, status="paused", failure=MISSED, totals=NOBODY)
    data = await progress(engine, api, started)
    assert (data["status"], data["progress"]["total"]) == ("failed", 0)


async def test_a_cancelled_schedule_never_begins_even_when_its_start_is_delivered_late(
    engine: Any, api: httpx.AsyncClient, started: Any
) -> None:
    await schedule(engine, started)
    late = at_last(engine, started)
    await engine.steer(CampaignCancelled, started, status="cancelled")
    assert (await progress(engine, api, started))["status"] == "cancelled"
    with pytest.raises(Exception, match=started.data.execution_id):
        await engine.accept(late)
    assert (await progress(engine, api, started))["status"] == "cancelled"
    assert not await make_planner(engine.wiring).run_once("planner")


@pytest.mark.parametrize(
    ("kind", "status", "then"),
    [(CampaignCancelled, "cancelled", "cancelled"), (CampaignPaused, "paused", "paused")],
)
async def test_a_start_that_comes_after_the_news_that_followed_it_is_held(
    engine: Any, api: httpx.AsyncClient, started: Any, kind: Any, status: str, then: str
) -> None:
    await engine.steer(kind, started, status=status)  # with a greater sequence than the start's
    await engine.accept(started)
    assert (await progress(engine, api, started))["status"] == then
    assert not await make_planner(engine.wiring).run_once("planner")


async def test_runs_of_a_deleted_campaign_are_shown_to_admins_only(
    engine: Any, api: httpx.AsyncClient
) -> None:
    campaign_id = "camp_01J0000000000000000000000A"  # not young, so nothing is waited for
    started = engine.started(campaign_id=campaign_id, execution_id=new_id("exec"))
    execution_id = await engine.accept(started)
    await engine.steer(CampaignDeleted, started, status="cancelled", execution_id=None)
    for path in (
        f"/campaigns/{campaign_id}/progress",
        f"/campaigns/{campaign_id}/progress?executionId={execution_id}",
        f"/campaigns/{campaign_id}/recipients",
    ):
        for role, status in (("viewer", 404), ("editor", 404), ("admin", 200)):
            answer = await api.get(path, headers=engine.bearer(role))
            assert answer.status_code == status, (path, role, answer.text)
    row = await engine.database["campaigns"].find_one({"_id": campaign_id})
    assert (row["name"], row["segments"], row["filters"]) == ("", [], None)
