"""GET /campaigns/:id/audience, and that preflight tells the same."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from contracts.events.campaign import AudienceDefinition
from contracts.ids import new_id
from execution_service.application.ports import KnownCampaign
from execution_service.bootstrap import Wiring
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
API = "/api/v1"


async def note(wiring: Wiring, campaign_id: str, *, deleted: bool = False, **audience: Any) -> None:
    async def work(tx: Tx) -> None:
        status = "cancelled" if deleted else "draft"
        definition = AudienceDefinition(**audience)
        campaign = KnownCampaign(campaign_id, "acme", "Sale", status, 1, definition, deleted)
        await wiring.campaigns.note(tx, campaign)

    await wiring.transactions.run(work)


async def put(api: httpx.AsyncClient, contact_id: str, **fields: Any) -> None:
    answer = await api.put(f"{API}/contacts/{contact_id}", json={"telegramChatId": 1, **fields})
    assert answer.status_code == 200, answer.text


async def shown(api: httpx.AsyncClient, campaign_id: str) -> dict[str, Any]:
    answer = await api.get(f"{API}/campaigns/{campaign_id}/audience")
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]  # type: ignore[no-any-return]


async def test_it_tells_the_total_each_segment_and_who_would_be_skipped(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    await put(api, "c1", segments=["a", "b"], age=30)
    await put(api, "c2", segments=["a"], age=30, optedOut=True)
    await put(api, "c3", segments=["b"], age=60)
    await put(api, "c4", segments=["b", "x"], age=30)
    audience = {"segments": ["a", "b", "none"], "filters": {"ageRange": [20, 40]}}
    await note(wiring, "camp_1", **audience, exclude_segments=["x"])
    expected = {
        "totalCount": 2, "bySegment": {"a": 2, "b": 1, "none": 0}, "suppressed": {"OPTED_OUT": 1}
    }  # fmt: skip
    assert await shown(api, "camp_1") == expected
    await put(api, "c3", age=40)
    await put(api, "c2", segments=[])
    assert await shown(api, "camp_1") == {
        "totalCount": 2, "bySegment": {"a": 1, "b": 2, "none": 0}, "suppressed": {}
    }  # fmt: skip
    body = {"org": "acme", **audience, "excludeSegments": ["x"]}
    told = await api.post(
        "/internal/preflight", json=body, headers={"Authorization": "Bearer the-internal-token"}
    )
    assert (told.json()["totalCount"], told.json()["suppressed"]) == (2, {})


async def test_a_segment_that_is_a_filter_counts_whom_it_finds_and_can_be_excluded(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    for number, age in enumerate([10, 20, 30, 40]):
        await put(api, f"c{number}", age=age, segments=["a"] if age == 10 else [])
    made = await api.post(
        f"{API}/segments", json={"id": "grown", "name": "Grown", "filters": {"ageRange": [18, 35]}}
    )
    assert (made.status_code, made.json()["data"]["count"]) == (201, 2)
    await note(wiring, "camp_1", segments=["a", "grown"])
    await note(wiring, "camp_2", filters={"ageRange": [0, 99]}, exclude_segments=["grown"])
    assert await shown(api, "camp_1") == {
        "totalCount": 3, "bySegment": {"a": 1, "grown": 2}, "suppressed": {}
    }  # fmt: skip
    assert (await shown(api, "camp_2"))["totalCount"] == 2


async def test_an_audience_that_cannot_be_understood_or_names_nobody_is_empty(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    await put(api, "c1", segments=["a"])
    nobody = {"totalCount": 0, "bySegment": {}, "suppressed": {}}
    await note(wiring, "camp_1", segments=["a"], filters={"location": "everywhere"})
    await note(wiring, "camp_2")
    assert [await shown(api, "camp_1"), await shown(api, "camp_2")] == [nobody, nobody]


async def test_unknown_deleted_and_other_organisations_campaigns_are_not_found(
    api: httpx.AsyncClient, wiring: Wiring, token: Callable[..., str]
) -> None:
    await note(wiring, "camp_1", segments=["a"])
    await note(wiring, "camp_2", deleted=True)
    other = {"Authorization": f"Bearer {token('admin', 'other')}"}
    answers = [
        await api.get(f"{API}/campaigns/camp_1/audience", headers=other),
        await api.get(f"{API}/campaigns/camp_2/audience"),
        await api.get(f"{API}/campaigns/camp_3/audience"),
    ]
    assert [answer.status_code for answer in answers] == [404, 404, 404]


async def test_a_campaign_made_just_now_is_waited_for(api: httpx.AsyncClient, wiring: Wiring) -> None:
    campaign_id = new_id("camp")
    asking = asyncio.create_task(api.get(f"{API}/campaigns/{campaign_id}/audience"))
    await asyncio.sleep(0)
    await note(wiring, campaign_id, segments=["a"])
    assert (await asking).status_code == 200
