"""Settings of an organisation, black box on a real database."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from execution_service.bootstrap import Wiring

pytestmark = pytest.mark.integration
SETTINGS = "/api/v1/settings"
DEFAULTS = {
    "costPerMessage": 0,
    "currency": "USD",
    "frequencyCap": None,
    "quietHours": None,
    "timezone": "UTC",
    "timezoneMode": "recipient",
    "guardRails": {"blockedPercent": 10, "blockedOf": 500, "equalErrors": 20},
    "updatedAt": None,
}


async def _events(wiring: Wiring) -> list[dict[str, Any]]:
    rows = await wiring.database["outbox"].find({"type": "settings.changed"}).sort("_id", 1).to_list(None)
    return [dict(row) for row in rows]


async def test_settings_are_merged_told_once_and_seen_by_nobody_else(
    api: httpx.AsyncClient, token: Callable[..., str], wiring: Wiring
) -> None:
    first = await api.get(SETTINGS)
    assert (first.status_code, first.json()["data"], first.headers["ETag"]) == (200, DEFAULTS, '"0"')
    quiet, cap = {"from": "22:30", "to": "08:00"}, {"messages": 3, "hours": 24}
    put = await api.put(SETTINGS, json={"costPerMessage": 0.05, "quietHours": quiet, "frequencyCap": cap})
    assert put.status_code == 200, put.text
    changed = put.json()["data"]
    assert changed == DEFAULTS | {
        "costPerMessage": 0.05, "quietHours": quiet, "frequencyCap": cap, "updatedAt": changed["updatedAt"],
    }  # fmt: skip
    assert changed["updatedAt"] and put.headers["ETag"] == '"1"'
    same = await api.put(SETTINGS, json=changed)
    assert (same.json()["data"], same.headers["ETag"]) == (changed, '"1"'), "GET, edit, PUT; no change"
    patch = {"quietHours": {"to": "07:15"}, "frequencyCap": None, "costPerMessage": None,
             "guardRails": {"equalErrors": 5, "blockedOf": None}, "timezone": "Asia/Kathmandu"}  # fmt: skip
    merged = (await api.put(SETTINGS, json=patch)).json()["data"]
    assert merged == DEFAULTS | {
        "quietHours": {"from": "22:30", "to": "07:15"}, "timezone": "Asia/Kathmandu",
        "guardRails": DEFAULTS["guardRails"] | {"equalErrors": 5}, "updatedAt": merged["updatedAt"],
    }  # fmt: skip
    assert (await api.get(SETTINGS)).json()["data"] == merged
    other = {"Authorization": f"Bearer {token(org='other')}"}
    assert (await api.get(SETTINGS, headers=other)).json()["data"] == DEFAULTS
    assert len(await _events(wiring)) == 2


async def test_only_an_admin_sees_or_changes_settings(
    api: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    for role in ("viewer", "editor"):
        headers = {"Authorization": f"Bearer {token(role)}"}
        assert (await api.get(SETTINGS, headers=headers)).status_code == 403
        assert (await api.put(SETTINGS, json={}, headers=headers)).status_code == 403


async def test_what_if_match_does_not_name_is_not_changed(api: httpx.AsyncClient) -> None:
    assert (await api.put(SETTINGS, json={"currency": "EUR"}, headers={"If-Match": '"0"'})).status_code == 200
    stale = await api.put(SETTINGS, json={"currency": "CHF"}, headers={"If-Match": '"0"'})
    assert (stale.status_code, stale.json()["error"]["code"]) == (412, "PRECONDITION_FAILED")
    assert (await api.get(SETTINGS)).json()["data"]["currency"] == "EUR"


async def test_changes_at_the_same_moment_all_count(api: httpx.AsyncClient, wiring: Wiring) -> None:
    patches: list[dict[str, Any]] = [
        {"costPerMessage": 1}, {"currency": "EUR"}, {"timezone": "Asia/Tokyo"}, {"timezoneMode": "org"},
    ]  # fmt: skip
    answers = await asyncio.gather(*(api.put(SETTINGS, json=patch) for patch in patches))
    assert [answer.status_code for answer in answers] == [200] * 4, [answer.text for answer in answers]
    assert {answer.headers["ETag"] for answer in answers} == {'"1"', '"2"', '"3"', '"4"'}
    stored = (await api.get(SETTINGS)).json()["data"]
    assert {key: stored[key] for patch in patches for key in patch} == {
        key: value for patch in patches for key, value in patch.items()
    }
    assert len(await _events(wiring)) == 4


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"costPerMessage": -1}, "costPerMessage"),
    ({"costPerMessage": "1"}, "costPerMessage"),
    ({"costPerMessage": 1_000_001}, "costPerMessage"),
    ({"currency": "EURO"}, "currency"),
    ({"currency": "XXX"}, "currency"),
    ({"currency": "eur"}, "currency"),
    ({"frequencyCap": {"messages": 0, "hours": 1}}, "frequencyCap.messages"),
    ({"frequencyCap": {"messages": 1}}, "frequencyCap.hours"),
    ({"frequencyCap": {"messages": 1, "hours": 721}}, "frequencyCap.hours"),
    ({"quietHours": {"from": "24:00", "to": "08:00"}}, "quietHours.from"),
    ({"quietHours": {"from": "22:00", "to": "8:00"}}, "quietHours.to"),
    ({"quietHours": {"from": "22:00"}}, "quietHours.to"),
    ({"quietHours": {"from": "22:00", "to": "08:00", "till": None}}, "quietHours.till"),
    ({"timezone": "Europe/Atlantis"}, "timezone"),
    ({"timezoneMode": "sender"}, "timezoneMode"),
    ({"guardRails": {"blockedPercent": 101}}, "guardRails.blockedPercent"),
    ({"guardRails": {"blockedOf": 501}}, "guardRails.blockedOf"),
    ({"guardRails": {"equalErrors": 0}}, "guardRails.equalErrors"),
    ({"guardRails": {"equalErrors": True}}, "guardRails.equalErrors"),
    ({"colour": "red"}, "colour"),
    ({"colour": None}, "colour"),
]


async def test_a_field_that_breaks_a_rule_is_named_and_nothing_is_stored(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    for patch, field in REFUSED:
        refused = await api.put(SETTINGS, json=patch)
        assert refused.status_code == 422, (patch, refused.text)
        (detail,) = refused.json()["error"]["details"]
        assert detail["field"] == field and detail["message"]
    assert (await api.get(SETTINGS)).json()["data"] == DEFAULTS
    assert await _events(wiring) == []
