"""/segments, black box on a real database: static and dynamic ones, and what is told of them."""

from typing import Any

import httpx
import pytest
from contracts.catalogue import decode
from contracts.events.campaign import AudienceDefinition
from execution_service.application.ports import KnownCampaign
from execution_service.bootstrap import Wiring
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
API = "/api/v1"


async def told(wiring: Wiring, event_type: str) -> list[Any]:
    """The data of every event of the type that waits in the outbox, oldest first."""
    rows = await wiring.database["outbox"].find({"type": event_type}).sort("_id", 1).to_list(None)
    return [decode(bytes(row["value"])).data for row in rows]


async def make_people(api: httpx.AsyncClient, *people: dict[str, Any]) -> None:
    """Contacts c0, c1, … with these fields."""
    for number, fields in enumerate(people):
        made = await api.put(f"{API}/contacts/c{number}", json={"telegramChatId": 100 + number, **fields})
        assert made.status_code == 200, made.text


async def test_a_dynamic_segment_finds_its_members_by_its_filters(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    people: list[dict[str, Any]] = [{"location": "US"}, {"location": "DE"}, {"location": "US", "age": 40}]
    await make_people(api, *people)
    filters = {"location": ["US"], "ageRange": [18, 50]}
    made = await api.post(f"{API}/segments", json={"id": "adults", "name": "Adults", "filters": filters})
    assert made.status_code == 201, made.text
    assert (made.json()["data"]["count"], made.json()["data"]["filters"]) == (1, filters)
    shown = (await api.get(f"{API}/segments/adults")).json()["data"]
    assert (shown["count"], shown["filters"]) == (1, filters)
    found = await wiring.segments.filters_of("acme", ["adults", "static", "none"])
    assert found == {"adults": filters}
    (event,) = await told(wiring, "segment.changed")
    assert (event.segment_id, event.name, event.deleted) == ("adults", "Adults", False)


@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"location": "US"},
        {"ageRange": [1]},
        {"two words": 1},
        {"tier": {"min": 1, "max": "b"}},
        {"tier": {"most": 1}},
        {"tier": [[1]]},
        {"tier": None},
        {"purchaseHistory": 1},
        {"tier": "x" * 1001},
    ],
)
async def test_filters_that_cannot_be_understood_are_refused(api: httpx.AsyncClient, filters: Any) -> None:
    answer = await api.post(f"{API}/segments", json={"id": "s", "name": "S", "filters": filters})
    assert answer.status_code == 422, answer.text
    assert answer.json()["error"]["details"][0]["field"].startswith("filters")
    assert (await api.get(f"{API}/segments/s")).status_code == 404


async def test_a_changed_filter_finds_others_and_is_told(api: httpx.AsyncClient, wiring: Wiring) -> None:
    await make_people(api, {"location": "US"}, {"location": "DE"}, {"location": "DE"})
    body: dict[str, Any] = {"id": "here", "name": "Here", "filters": {"location": ["US"]}}
    assert (await api.post(f"{API}/segments", json=body)).status_code == 201
    marks = len(await wiring.marks.read(100))
    changed = await api.put(f"{API}/segments/here", json={"filters": {"location": ["DE"]}})
    assert changed.status_code == 200, changed.text
    assert changed.json()["data"]["name"] == "Here"
    assert (await api.get(f"{API}/segments/here")).json()["data"]["count"] == 2
    assert len(await wiring.marks.read(100)) > marks
    first, second = await told(wiring, "segment.changed")
    assert second.revision > first.revision
    emptied = await api.put(f"{API}/segments/here", json={"filters": None})
    assert (emptied.status_code, emptied.json()["error"]["details"][0]["field"]) == (422, "filters")
    # GET, edit, PUT works, and what changes nothing is told to nobody.
    shown = (await api.get(f"{API}/segments/here")).json()["data"]
    again = await api.put(f"{API}/segments/here", json=shown)
    assert again.status_code == 200, again.text
    assert again.json()["data"]["updatedAt"] == shown["updatedAt"]
    assert len(await told(wiring, "segment.changed")) == 2


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"filters": {"location": ["US"]}}, "filters"),
        ({"name": None}, "body"),
        ({"name": ""}, "name"),
        ({"members": []}, "members"),
    ],
)
async def test_a_change_that_is_not_understood_names_its_field(
    api: httpx.AsyncClient, patch: dict[str, Any], field: str
) -> None:
    assert (await api.post(f"{API}/segments", json={"id": "vips", "name": "VIPs"})).status_code == 201
    answer = await api.put(f"{API}/segments/vips", json=patch)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] == field, answer.text
    assert (await api.get(f"{API}/segments/vips")).json()["data"]["name"] == "VIPs"


async def test_a_segment_is_deleted_unless_an_open_campaign_names_it(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    await make_people(api, {"segments": ["vips"]})
    assert (await api.post(f"{API}/segments", json={"id": "vips", "name": "VIPs"})).status_code == 201

    async def note(status: str, sequence: int) -> None:
        known = KnownCampaign(
            "camp_1", "acme", "Sale", status, sequence, AudienceDefinition(exclude_segments=["vips"])
        )

        async def work(tx: Tx) -> None:
            await wiring.campaigns.note(tx, known)

        await wiring.transactions.run(work)

    await note("paused", 1)
    refused = await api.delete(f"{API}/segments/vips")
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "SEGMENT_IN_USE"
    assert "camp_1" in refused.json()["error"]["message"]
    await note("completed", 2)
    same = {"name": "VIPs", "filters": None}  # as GET shows a list of members
    assert (await api.put(f"{API}/segments/vips", json=same)).status_code == 200
    assert (await api.delete(f"{API}/segments/vips")).status_code == 200
    assert (await api.get(f"{API}/segments/vips")).status_code == 404
    assert (await api.delete(f"{API}/segments/vips")).status_code == 404
    assert [event.deleted for event in await told(wiring, "segment.changed")] == [False, True]
    # Membership is the contacts': one that is made again under the id has them, as if it had never gone.
    made = await api.post(f"{API}/segments", json={"id": "vips", "name": "New VIPs"})
    assert made.json()["data"]["count"] == 1
    assert [event.revision for event in await told(wiring, "segment.changed")] == sorted(
        {event.revision for event in await told(wiring, "segment.changed")}
    )
