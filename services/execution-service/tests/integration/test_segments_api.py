"""/segments, black box on a real database: static and dynamic ones, and what is told of them."""

from typing import Any

import httpx
import pytest
from contracts.catalogue import decode
from execution_service.bootstrap import Wiring

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
