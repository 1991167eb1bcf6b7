"""Preflight tells whom an audience's filters leave."""

from typing import Any

import httpx
import pytest
from execution_service.domain.sampling import in_sample

pytestmark = pytest.mark.integration


async def put(api: httpx.AsyncClient, contact_id: str, **fields: Any) -> None:
    answer = await api.put(f"/api/v1/contacts/{contact_id}", json={"telegramChatId": 1, **fields})
    assert answer.status_code == 200, answer.text


async def test_preflight_tells_whom_filters_leave_and_who_of_them_would_be_skipped(
    api: httpx.AsyncClient,
) -> None:
    await put(api, "c1", segments=["s1"], age=20, tester=True)
    await put(api, "c2", segments=["s1"], age=30, optedOut=True)
    await put(api, "c3", segments=["s1", "vip"], age=30)
    await put(api, "c4", age=99, optedOut=True)
    token = {"Authorization": "Bearer the-internal-token"}

    async def ask(**query: Any) -> dict[str, Any]:
        body = {"org": "acme", "segments": [], **query}
        answer = await api.post("/internal/preflight", json=body, headers=token)
        assert answer.status_code == 200, answer.text
        return {key: answer.json()[key] for key in ("totalCount", "targeted", "testers", "suppressed")}

    assert await ask(segments=["s1"]) == {
        "totalCount": 3, "targeted": 3, "testers": 1, "suppressed": {"OPTED_OUT": 1},
    }  # fmt: skip
    assert (await ask(segments=["s1"], excludeSegments=["vip"]))["totalCount"] == 2
    assert await ask(segments=["s1"], filters={"ageRange": [25, 40]}, excludeSegments=["vip"]) == {
        "totalCount": 1, "targeted": 1, "testers": 0, "suppressed": {"OPTED_OUT": 1},
    }  # fmt: skip
    assert await ask(segments=["s1"], testMode=True) == {
        "totalCount": 3, "targeted": 1, "testers": 1, "suppressed": {},
    }  # fmt: skip
    assert (await ask(filters={"ageRange": [0, 150]}))["suppressed"] == {"OPTED_OUT": 2}
    assert (await ask())["totalCount"] == 0
    refused = await api.post(
        "/internal/preflight", json={"org": "acme", "segments": [], "filters": {"ageRange": 1}}, headers=token
    )
    assert (refused.status_code, refused.json()["error"]["details"][0]["field"]) == (422, "filters.ageRange")


async def test_preflight_counts_a_sample_as_an_execution_takes_it(api: httpx.AsyncClient) -> None:
    numbers = range(40)
    for number in numbers:
        await put(api, f"c{number}", segments=["s1"], optedOut=number % 2 == 0, tester=number % 4 == 0)
    taken = [number for number in numbers if in_sample("camp_1", f"c{number}", 30)]
    assert 0 < len(taken) != 12, "a scaled count would be wrong"
    body = {"org": "acme", "segments": ["s1"], "targetPercentage": 30, "samplingSeed": "camp_1"}
    token = {"Authorization": "Bearer the-internal-token"}
    for test_mode, expected in ((False, taken), (True, [number for number in taken if number % 4 == 0])):
        answer = await api.post("/internal/preflight", json={**body, "testMode": test_mode}, headers=token)
        told = answer.json()
        assert (told["totalCount"], told["targeted"]) == (40, len(expected))
        assert told["suppressed"] == {"OPTED_OUT": sum(number % 2 == 0 for number in expected)}
