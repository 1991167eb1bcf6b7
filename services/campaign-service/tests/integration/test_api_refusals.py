"""The routes on a real database: refusals, which name the field and store nothing."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
from motor.motor_asyncio import AsyncIOMotorDatabase

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
Create = Callable[..., Awaitable[str]]
Token = Callable[..., str]
JSON = {"Content-Type": "application/json"}

GOOD_URL = "https://shop.example"
PHOTO = {"type": "photo", "url": GOOD_URL}
VARIATION = {"content": "x", "weight": 1}
BAD_URLS = [
    "shop.example", "//shop.example", "https:shop.example", "https://", "https:///a", "ftp://shop.example", "tg://user",
    "javascript:alert(1)", "https://shop.example/{{firstName}}", "https://shop.example/a b", "https://shop.example\r\nX: y",
    "https://shop.example\\@evil.example", "https://user:pass@shop.example", "https://пример.рф", "https://shop.example/\t",
    "https://[::1", "https://shop.example:99999", "https://shop.example/" + "x" * 2048,
]  # fmt: skip
BAD_BUTTON_URLS = [
    *BAD_URLS, "https://{{clickId}}.example", "https://shop.example{{clickId}}", "https://{{clickId}}/", "{{clickId}}://shop.example/",
    "https://shop.example:{{clickId}}/", "https://{{clickId}}@shop.example/", "https://?{{clickId}}", "https:///{{clickId}}",
    "https://shop.example/{{clickId}}/{{clickId}}", "https://shop.example/{{clickid}}", "https://shop.example/{{clickId|x}}",
    "https://shop.example/{{ clickId }}", "https://shop.example/{{{clickId}}}", "https://shop.example/{clickId}",
    "https://shop.example/{{clickId}}?n={{firstName}}", "https://shop.example/{{click{{clickId}}Id}}", "{{clickId}}",
]  # fmt: skip
BAD_PARTS: list[tuple[str, Any]] = [
    ("media.type", {"media": {"url": GOOD_URL}}),
    ("media.type", {"media": {"type": "sticker", "url": GOOD_URL}}),
    ("media.url", {"media": {"type": "photo"}}),
    ("media.url", {"media": {"type": "photo", "url": "http://shop.example/a.jpg"}}),
    *(("media.url", {"media": {"type": "video", "url": url}}) for url in BAD_URLS),
    *(("buttons.0.0.url", {"buttons": [[{"text": "a", "url": url}]]}) for url in BAD_BUTTON_URLS),
    ("media.url", {"media": {"type": "photo", "url": "https://cdn.example/a.jpg?c={{clickId}}"}}),
    ("buttons.0.0.url", {"buttons": [[{"text": "a"}]]}),
    ("buttons.0.0.callbackData", {"buttons": [[{"text": "a", "url": GOOD_URL, "callbackData": "x"}]]}),
    ("buttons.0.1.text", {"buttons": [[{"text": "a", "url": GOOD_URL}, {"url": GOOD_URL}]]}),
    ("buttons.0.0.text", {"buttons": [[{"text": " ", "url": GOOD_URL}]]}),
    ("buttons.0.0.text", {"buttons": [[{"text": "x" * 101, "url": GOOD_URL}]]}),
    ("buttons.0", {"buttons": [{"text": "a", "url": GOOD_URL}]}),
    ("buttons.0", {"buttons": [[]]}),
    ("buttons.0", {"buttons": [[{"text": "a", "url": GOOD_URL}] * 9]}),
    ("buttons", {"buttons": [[{"text": "a", "url": GOOD_URL}]] * 9}),
]
BAD_CAMPAIGNS: list[tuple[str, dict[str, Any]]] = [
    ("name", {"name": ""}),
    ("name", {"name": "   "}),
    ("name", {"name": "x" * 201}),
    ("name", {"name": "a\u0007b"}),
    ("name", {"name": "a\u0000b"}),
    ("name", {"name": "\ud800"}),
    ("name", {"name": "\u200b" * 201}),
    ("name", {"name": 5}),
    ("name", {"name": None}),
    ("description", {"description": "x" * 5001}),
    ("type", {"type": "spam"}),
    ("status", {"status": "running"}),
    ("goals.targetAudience", {"goals": {"targetAudience": -1}}),
    ("goals.targetAudience", {"goals": {"targetAudience": 10**400}}),
    ("goals.targetAudience", {"goals": {"targetAudience": True}}),
    ("goals.conversionRate", {"goals": {"conversionRate": 101}}),
    ("goals.revenue", {"goals": {"revenue": 10**400}}),
    ("goals.clicks", {"goals": {"clicks": 1}}),
    ("budget", {"budget": -0.01}),
    ("budget", {"budget": "10"}),
    ("targetAudience.segments", {"targetAudience": {"segments": [f"s{n}" for n in range(101)]}}),
    ("targetAudience.segments", {"targetAudience": {"segments": ["s"] * 10_000}}),
    ("targetAudience.segments.0", {"targetAudience": {"segments": ["no spaces"]}}),
    ("targetAudience.filters.location", {"targetAudience": {"filters": {"location": "US"}}}),
    ("targetAudience.filters.location", {"targetAudience": {"filters": {"location": []}}}),
    ("targetAudience.filters.location.1", {"targetAudience": {"filters": {"location": ["US", "usa"]}}}),
    ("targetAudience.filters.ageRange", {"targetAudience": {"filters": {"ageRange": [18]}}}),
    ("targetAudience.filters.ageRange", {"targetAudience": {"filters": {"ageRange": [45, 18]}}}),
    ("targetAudience.filters.ageRange.0", {"targetAudience": {"filters": {"ageRange": [-1, 18]}}}),
    ("targetAudience.filters.interests.0", {"targetAudience": {"filters": {"interests": ["x" * 101]}}}),
    ("targetAudience.filters.purchaseHistory", {"targetAudience": {"filters": {"purchaseHistory": 1}}}),
    ("targetAudience.filters", {"targetAudience": {"filters": {f"a{n}": 1 for n in range(51)}}}),
    ("targetAudience.filters", {"targetAudience": {"filters": []}}),
    ("targetAudience.excludeSegments", {"targetAudience": {"excludeSegments": ["s"] * 101}}),
    ("strategy.channels.0", {"strategy": {"channels": ["fax"]}}),
    ("strategy.bot", {"strategy": {"bot": "x"}}),
    ("strategy.botIds", {"strategy": {"botId": "bot_1", "botIds": ["bot_2"]}}),
    ("strategy.botIds", {"strategy": {"botIds": ["bot_2", "bot_2"]}}),
    ("strategy.botIds", {"strategy": {"botIds": [f"bot_{n}" for n in range(21)]}}),
    ("strategy.botIds.1", {"strategy": {"botIds": ["bot_1", "no spaces"]}}),
    ("strategy.allowPaidBroadcast", {"strategy": {"allowPaidBroadcast": "yes"}}),
    ("strategy.unknownDelivery", {"strategy": {"unknownDelivery": "twice"}}),
    ("strategy.quietHours.from", {"strategy": {"quietHours": {"from": "24:00", "to": "08:00"}}}),
    ("strategy.quietHours.to", {"strategy": {"quietHours": {"from": "22:00"}}}),
    ("strategy.timezoneMode", {"strategy": {"timezoneMode": "sender"}}),
    ("messages", {"messages": [{"content": "x"}] * 21}),
    ("messages", {"messages": [{"id": "m", "content": "x"}] * 2}),
    ("messages.0.content", {"messages": [{"content": "x" * 4097}]}),
    ("messages.0.content", {"messages": [{"content": " \n"}]}),
    ("messages.0.parseMode", {"messages": [{"content": "x", "parseMode": "Markdown"}]}),
    *((f"messages.0.{field}", {"messages": [{"content": "x", **parts}]}) for field, parts in BAD_PARTS),
    ("messages.0.variations.0.media", {"messages": [{"variations": [{**VARIATION, "media": PHOTO}]}]}),
    ("messages.0.variations.0.buttons", {"messages": [{"variations": [{**VARIATION, "buttons": []}]}]}),
    ("messages.0.variations.0.weight", {"messages": [{"variations": [{"content": "x", "weight": 101}]}]}),
    ("messages.0.variations", {"messages": [{"variations": [{"content": "x", "weight": 51}] * 2}]}),
    ("messages.0.variations", {"messages": [{"variations": [{"content": "x", "weight": 1}] * 21}]}),
    ("workflow.triggers.0", {"workflow": {"name": "W", "triggers": ["moon"]}}),
    ("abTests.0.name", {"abTests": [{}]}),
    ("startDate", {"startDate": "tomorrow"}),
    ("startDate", {"startDate": 1717200000}),
    ("startDate", {"startDate": "2024-06-01T00:00:00"}),
    ("startDate", {"startDate": "9999-12-31T23:59:59-14:00"}),
    ("endDate", {"endDate": "9999-12-31T23:59:59Z"}),
    ("endDate", {"endDate": "2124-11-24T00:00:00Z"}),
    ("unknown", {"unknown": 1}),
]


async def test_a_bad_field_is_refused_by_name_and_nothing_is_stored(
    api: httpx.AsyncClient, mongo_database: Database, black_friday: dict[str, Any]
) -> None:
    for field, changes in BAD_CAMPAIGNS:
        # As ASCII, so that a lone surrogate gets through the client.
        answer = await api.post("/campaigns", content=json.dumps({**black_friday, **changes}), headers=JSON)
        assert answer.status_code == 422, (field, answer.text)
        body = answer.json()
        assert body["success"] is False and body["requestId"]
        assert body["error"]["code"] == "VALIDATION_FAILED"
        assert field in [detail["field"] for detail in body["error"]["details"]], (field, body)
    assert await mongo_database["campaigns"].count_documents({}) == 0
    assert await mongo_database["outbox"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("content", "media", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"name": "x", "budget": NaN}', "application/json", 422),
        (b'{"name": "x", "budget": 1e999}', "application/json", 422),
        (b'{"name": "x", "\\ud800": 1}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b'{"name": "\xff"}', "application/json", 400),
        (b'{"name": "x"}', "text/plain", 415),
        (b'{"name": "' + b"x" * 1_000_000 + b'"}', "application/json", 413),
        (b'{"name": "x", "statistics": ' + b"[" * 100_000, "application/json", 400),
    ],
)
async def test_a_bad_body_is_refused_in_the_envelope(
    api: httpx.AsyncClient, mongo_database: Database, content: bytes, media: str, status: int
) -> None:
    for path in ("/campaigns", "/templates"):
        answer = await api.post(path, content=content, headers={"Content-Type": media})
        assert answer.status_code == status, answer.text
        assert answer.json()["success"] is False and answer.json()["error"]["code"]
    assert await mongo_database["campaigns"].count_documents({}) == 0
    assert await mongo_database["templates"].count_documents({}) == 0


@pytest.mark.parametrize(
    "query",
    ["page=0", "page=x", "limit=0", "limit=101", "sort=org", "sort=--name", "status=running",
     "type=spam", "search=" + "x" * 201, "page=99999999999999999999"],
)  # fmt: skip
async def test_a_bad_query_parameter_is_400(api: httpx.AsyncClient, query: str) -> None:
    answer = await api.get(f"/campaigns?{query}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["details"][0]["field"] == query.split("=", maxsplit=1)[0]


async def test_a_bad_template_is_refused(api: httpx.AsyncClient, mongo_database: Database) -> None:
    good = {"name": "T", "content": "x"}
    for field, changes in [
        ("name", {"name": ""}),
        ("content", {"content": ""}),
        ("content", {"content": "x" * 4097}),
        ("parseMode", {"parseMode": "markdown"}),
        *BAD_PARTS,
    ]:
        answer = await api.post("/templates", json={**good, **changes})
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["details"][0]["field"] == field
    assert await mongo_database["templates"].count_documents({}) == 0


async def test_a_bad_attribute_filter_is_named(api: httpx.AsyncClient) -> None:
    for attribute, value in [
        ("no spaces", 1),
        ("tier", {}),
        ("tier", {"min": 2, "max": 1}),
        ("tier", {"from": 1}),
        ("tier", []),
        ("tier", [[1]]),
        ("tier", "x" * 1001),
    ]:
        body = {"name": "x", "targetAudience": {"filters": {attribute: value}}}
        answer = await api.post("/campaigns", json=body)
        field = answer.json()["error"]["details"][0]["field"]
        assert answer.status_code == 422 and field.startswith(f"targetAudience.filters.{attribute}"), field


ROUTES = [
    ("POST", "/campaigns"),
    ("GET", "/campaigns"),
    ("GET", "/campaigns/camp_x"),
    ("PUT", "/campaigns/camp_x"),
    ("DELETE", "/campaigns/camp_x"),
    ("POST", "/campaigns/camp_x/execute"),
    ("POST", "/campaigns/camp_x/pause"),
    ("POST", "/campaigns/camp_x/resume"),
    ("POST", "/campaigns/camp_x/cancel"),
    ("POST", "/campaigns/camp_x/retry"),
    ("POST", "/campaigns/camp_x/clone"),
    ("POST", "/templates"),
    ("GET", "/templates"),
    ("GET", "/templates/tmpl_x"),
    ("PUT", "/templates/tmpl_x"),
    ("DELETE", "/templates/tmpl_x"),
]


async def test_the_table_of_routes_is_whole(api: httpx.AsyncClient) -> None:
    app: Any = api._transport.app  # type: ignore[attr-defined]  # the app behind the client
    served = {
        (method.upper(), path.removeprefix("/api/v1"))
        for path, operations in app.openapi()["paths"].items()
        for method in operations
    }
    listed = {
        (method, path.replace("camp_x", "{campaign_id}").replace("tmpl_x", "{template_id}"))
        for method, path in ROUTES
    }
    assert served == listed


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_every_route_wants_a_token_and_writing_wants_an_editor(
    api: httpx.AsyncClient, token: Token, method: str, path: str
) -> None:
    body = {"json": {"name": "x", "content": "x"}} if path == "/templates" and method == "POST" else {}
    if method == "PUT":
        body = {"json": {"name": "x"}}
    for authorization in ("", "Bearer nonsense", f"Basic {token()}"):
        answer = await api.request(method, path, headers={"Authorization": authorization}, **body)
        assert answer.status_code == 401 and answer.json()["error"]["code"] == "UNAUTHENTICATED"
    viewer = {"Authorization": f"Bearer {token('viewer')}"}
    answer = await api.request(method, path, headers=viewer, **body)
    assert (answer.status_code == 403) == (method != "GET")


async def test_another_org_sees_nothing(api: httpx.AsyncClient, token: Token, create: Create) -> None:
    campaign_id = await create()
    template_id = (await api.post("/templates", json={"name": "T", "content": "x"})).json()["data"]["id"]
    other = {"Authorization": f"Bearer {token('admin', 'rival')}"}
    for method, path in ROUTES:
        if path.endswith(("/campaigns", "/templates")):
            continue
        body = {"json": {"name": "mine"}} if method == "PUT" else {}
        named = path.replace("camp_x", campaign_id).replace("tmpl_x", template_id)
        answer = await api.request(method, named, headers=other, **body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND"), named
    for path in ("/campaigns", "/templates", "/campaigns?search=black"):
        assert (await api.get(path, headers=other)).json()["data"]["pagination"]["total"] == 0
