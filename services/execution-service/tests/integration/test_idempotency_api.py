"""Segments and bots made under an Idempotency-Key."""

import asyncio

import httpx
import pytest

pytestmark = pytest.mark.integration
GOOD = {"name": "Shop", "token": "123456:good-secret"}


def keyed(key: str = "k") -> dict[str, str]:
    return {"Idempotency-Key": key}


@pytest.mark.parametrize(
    ("path", "body"),
    [("segments", {"id": "vip", "name": "VIP"}), ("segments", {"name": "VIP"}), ("bots", GOOD)],
)
async def test_made_again_under_its_key_it_is_the_first_answer_and_no_conflict(
    path: str, body: dict[str, str], api: httpx.AsyncClient
) -> None:
    first, again = [await api.post(f"/api/v1/{path}", json=body, headers=keyed()) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.status_code == 201, first.text
    assert again.headers["idempotency-replayed"] == "true"
    shown = (await api.get(f"/api/v1/{path}")).json()["data"][path]
    assert [row["id"] for row in shown] == [first.json()["data"]["id"]]
    other = await api.post(f"/api/v1/{path}", json={**body, "name": "Other"}, headers=keyed())
    assert (other.status_code, other.json()["error"]["code"]) == (422, "IDEMPOTENCY_KEY_REUSED")


@pytest.mark.parametrize(("path", "body"), [("segments", {"name": "VIP"}), ("bots", GOOD)])
async def test_many_at_once_under_one_key_make_one(
    path: str, body: dict[str, str], api: httpx.AsyncClient
) -> None:
    many = [api.post(f"/api/v1/{path}", json=body, headers=keyed()) for _ in range(20)]
    answers = await asyncio.gather(*many)
    assert {answer.status_code for answer in answers} <= {201, 409}
    fine = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in fine}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in fine) == 1
    codes = {answer.json()["error"]["code"] for answer in answers if answer.status_code == 409}
    assert codes <= {"IDEMPOTENCY_KEY_IN_FLIGHT"}
    assert len((await api.get(f"/api/v1/{path}")).json()["data"][path]) == 1


async def test_a_bot_that_was_refused_may_be_mended_under_the_same_key(api: httpx.AsyncClient) -> None:
    refused = await api.post("/api/v1/bots", json={**GOOD, "token": "123456:bad"}, headers=keyed())
    mended = await api.post("/api/v1/bots", json=GOOD, headers=keyed())
    assert (refused.status_code, mended.status_code) == (422, 201)
    assert mended.json()["data"]["default"] is True
