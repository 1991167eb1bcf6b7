"""A campaign's life as users see it: scheduled, held, ended by its date, failed and mended, for part of the people."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from service_kit.testing.waiting import eventually

AUDIENCE = {"segments": ["seg123"], "filters": {"location": ["US"]}, "excludeSegments": ["vip"]}


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def create(api: Any, **changes: Any) -> str:
    body = {
        "name": "Scheduled Sale",
        "targetAudience": {"segments": ["seg123"]},
        "messages": [{"content": "Hello {{firstName}}"}],
        **changes,
    }
    return str((await api.call("POST", "/campaigns", json=body))["id"])


async def in_the_states(world: Any, api: Any, count: int, vips: int) -> None:
    """The first `count` contacts live in the US; the first `vips` of them are in the segment vip."""
    lines = (
        {"id": f"c{n:05d}", "location": "US", "segments": ["seg123", *(["vip"] if n < vips else [])]}
        for n in range(count)
    )
    body = "\n".join(map(json.dumps, lines)).encode()
    headers = {"Content-Type": "application/x-ndjson"}
    answer = await api.call("POST", "/contacts/import", content=body, headers=headers)
    assert answer["updated"] == count


async def test_a_schedule_fires_once_for_those_whom_the_filters_mean(world: Any) -> None:
    await world.set_up(contacts=60, rate=100)
    api = world.api()
    await in_the_states(world, api, 40, vips=10)
    await api.call("PUT", "/contacts/c00039", json={"optedOut": True})
    campaign_id = await create(api, targetAudience=AUDIENCE)
    path = f"/campaigns/{campaign_id}"
    predicted = await api.call("POST", f"{path}/execute", json={"dryRun": True})
    assert (predicted["totalCount"], predicted["suppressed"]) == (30, {"OPTED_OUT": 1})
    scheduled = await api.call("POST", f"{path}/execute", json={"scheduledAt": later(4)})
    assert scheduled["status"] == "scheduled"
    waiting = await world.read(f"{path}/progress", lambda seen: seen["status"] == "scheduled")
    assert (waiting["progress"]["total"], waiting["executionId"]) == (0, scheduled["executionId"])
    assert (await api.call("GET", path))["status"] == "active"
    done = await world.until_completed(campaign_id)
    assert done["executionId"] == scheduled["executionId"]
    assert (done["progress"]["successful"], done["progress"]["skipped"]) == (29, 1)
    reached = {
        row["contactId"] for row in await world.recipients(campaign_id) if row["status"] == "successful"
    }
    assert reached == {f"c{n:05d}" for n in range(10, 39)}
    shown = await world.read(path, lambda seen: seen["status"] == "completed")
    assert shown["scheduledAt"] is None and shown["targetAudience"]["totalCount"] == 30
    kinds = {f"campaign.{kind}" for kind in ("created", "scheduled", "started", "completed")}
    await world.until_types(campaign_id, kinds)
    await api.close()


async def test_an_armed_start_is_held_by_a_pause_and_goes_at_once_when_resumed_late(world: Any) -> None:
    await world.set_up(contacts=20, rate=100)
    api = world.api()
    workflow = {"name": "By time", "triggers": ["scheduled"]}
    campaign_id = await create(api, startDate=later(2), workflow=workflow)
    path = f"/campaigns/{campaign_id}"
    armed = await api.call("PUT", path, json={"status": "active"})
    assert armed["status"] == "active" and armed["scheduledAt"] == armed["startDate"]
    await api.call("PUT", path, json={"status": "paused"})
    starts = datetime.fromisoformat(armed["startDate"])

    async def passed() -> bool:
        return datetime.now(UTC) > starts + timedelta(seconds=1.5)

    await eventually(passed, bool, seconds=10)
    assert (await world.read(f"{path}/progress"))["status"] == "paused"
    assert await world.telegram_ledger() == []
    assert (await api.call("PUT", path, json={"status": "active"}))["status"] == "active"
    done = await world.until_completed(campaign_id)
    assert done["progress"]["successful"] == len(await world.telegram_ledger()) == 20
    await api.close()


async def test_at_its_end_date_a_campaign_skips_who_is_left_and_completes(world: Any) -> None:
    await world.set_up(contacts=300, rate=20)
    campaign_id, _ = await world.start_campaign()
    api, path = world.api(), f"/campaigns/{campaign_id}"
    await world.until_processed(campaign_id, 20)
    await api.call("PUT", path, json={"endDate": later(1)})
    done = await world.until_completed(campaign_id, seconds=30)
    numbers = done["progress"]
    assert numbers["total"] == numbers["successful"] + numbers["skipped"] == 300 and numbers["skipped"] > 0
    assert [error["code"] for error in done["errors"]] == ["CAMPAIGN_ENDED"]
    assert len(await world.telegram_ledger()) == numbers["successful"]
    await world.read(path, lambda seen: seen["status"] == "completed")
    await api.close()


async def test_a_failed_campaign_is_mended_and_goes_on_with_those_pending(world: Any) -> None:
    await world.set_up(contacts=200, rate=50)
    campaign_id, execution_id = await world.start_campaign()
    api, path = world.api(), f"/campaigns/{campaign_id}"
    await world.until_processed(campaign_id, 30)
    await world.telegram.patch("/config", json={"unauthorized_tokens": [world.token]})
    shown = await world.read(path, lambda seen: seen["status"] == "paused")
    assert shown["failure"]["code"] == "BOT_UNAUTHORIZED"
    token = f"{world.bot_id + 1}:another-token-that-only-the-simulator-knows"
    bot = await api.call(
        "POST", "/bots", json={"name": "Spare", "token": token, "limits": {"perSecond": 100}}
    )
    await api.call("PUT", path, json={"strategy": {"botId": bot["id"]}, "messages": [{"content": "Mended"}]})
    assert (await api.call("POST", f"{path}/resume"))["status"] == "active"
    done = await world.until_completed(campaign_id)
    numbers = done["progress"]
    assert done["executionId"] == execution_id
    assert numbers["total"] == numbers["successful"] + numbers["failed"] + numbers["unknown"] == 200
    assert (await api.call("GET", path))["failure"] is None
    everybody = [row["contactId"] for row in await world.recipients(campaign_id)]
    assert len(everybody) == len(set(everybody)) == 200
    kinds = ("created", "started", "failed", "updated", "resumed", "completed")
    await world.until_types(campaign_id, {f"campaign.{kind}" for kind in kinds})
    await api.close()


async def test_a_deleted_campaign_is_gone_and_its_progress_is_for_admins(world: Any) -> None:
    await world.set_up(contacts=5, rate=100)
    campaign_id, _ = await world.start_campaign()
    await world.until_completed(campaign_id)
    api = world.api()
    clone = await api.call("POST", f"/campaigns/{campaign_id}/clone")
    assert clone["name"] == "Summer Sale Campaign (Copy)"
    tested = await api.call("PUT", "/contacts/c00001", json={"tester": True})
    assert tested["tester"]
    path = f"/campaigns/{clone['id']}"
    await api.call("POST", f"{path}/execute", json={"testMode": True})
    done = await world.until_completed(clone["id"])
    assert (done["testMode"], done["progress"]["total"]) == (True, 1)
    await api.call("DELETE", path)
    async with world.http("viewer") as viewer, world.http("admin") as admin:

        async def answers() -> tuple[int, int, int]:
            seen = [
                await admin.get(path),
                await viewer.get(f"{path}/progress"),
                await admin.get(f"{path}/progress"),
            ]
            return (seen[0].status_code, seen[1].status_code, seen[2].status_code)

        assert await eventually(answers, lambda got: got[1] == 404, seconds=20) == (404, 404, 200)
    await api.close()
