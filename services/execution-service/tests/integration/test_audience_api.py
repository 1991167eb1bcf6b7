"""/contacts, /segments, /bots and /internal, black box on a real database."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from execution_service.bootstrap import Wiring
from execution_service.domain.sampling import in_sample

pytestmark = pytest.mark.integration

CONTACT = {
    "telegramChatId": 412345678, "firstName": "Zoë", "language": "pt-BR", "timezone": "Europe/Lisbon",
    "location": "PT", "age": 36, "interests": ["shopping"], "purchaseHistory": True,
    "lastPurchase": "sneakers", "attributes": {"plan": "pro"}, "segments": ["seg123"], "tester": True,
}  # fmt: skip
BOT = {"name": "Main", "token": "1001:good-secret"}
API = "/api/v1"
INTERNAL = "the-internal-token"


async def test_a_contact_is_put_shown_and_patched(api: httpx.AsyncClient) -> None:
    made = await api.put(f"{API}/contacts/con-1", json=CONTACT)
    assert made.status_code == 200, made.text
    shown = (await api.get(f"{API}/contacts/con-1")).json()["data"]
    assert shown == made.json()["data"]
    assert shown | CONTACT == shown
    assert (shown["id"], shown["optedOut"], shown["lastName"]) == ("con-1", False, None)
    again = await api.put(f"{API}/contacts/con-1", json=shown)
    assert again.json()["data"] == shown
    patched = await api.put(f"{API}/contacts/con-1", json={"age": None, "attributes": {"vip": True}})
    data = patched.json()["data"]
    assert (data["age"], data["attributes"], data["firstName"]) == (None, {"plan": "pro", "vip": True}, "Zoë")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"firstName": "no chat"}, "telegramChatId"),
        ({"telegramChatId": 0}, "telegramChatId"),
        ({"telegramChatId": "5"}, "telegramChatId"),
        ({"telegramChatId": 5, "location": "XX"}, "location"),
        ({"telegramChatId": 5, "attributes": {"a": [1]}}, "attributes"),
        ({"telegramChatId": 5, "shoeSize": 42}, "shoeSize"),
        ([], "body"),
    ],
)
async def test_a_bad_contact_is_told_by_its_field_and_not_stored(
    api: httpx.AsyncClient, body: Any, field: str
) -> None:
    answer = await api.put(f"{API}/contacts/con-bad", json=body)
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error["code"] == "VALIDATION_FAILED"
    assert error["details"][0]["field"].startswith(field)
    assert (await api.get(f"{API}/contacts/con-bad")).status_code == 404


async def test_malformed_or_huge_bodies_and_bad_ids_are_refused(api: httpx.AsyncClient) -> None:
    headers = {"Content-Type": "application/json"}
    malformed = await api.put(f"{API}/contacts/c", content=b"{", headers=headers)
    huge = await api.put(f"{API}/contacts/import", content=b" " * 600_000, headers=headers)
    bad_id = await api.put(f"{API}/contacts/a%20b", json=CONTACT)
    assert [malformed.status_code, huge.status_code, bad_id.status_code] == [400, 413, 422]


ROUTES = [
    ("PUT", "/contacts/c1", CONTACT, "editor"),
    ("GET", "/contacts/c1", None, "viewer"),
    ("POST", "/contacts/import", None, "editor"),
    ("GET", "/contacts/imports/i1", None, "viewer"),
    ("GET", "/contacts", None, "viewer"),
    ("DELETE", "/contacts/c1", None, "admin"),
    ("POST", "/segments", {"name": "S"}, "editor"),
    ("GET", "/segments", None, "viewer"),
    ("GET", "/segments/s1", None, "viewer"),
    ("GET", "/campaigns/camp_1/audience", None, "viewer"),
    ("GET", "/campaigns/camp_1/progress/stream", None, "viewer"),
    ("GET", "/campaigns/camp_1/executions", None, "viewer"),
    ("POST", "/bots", BOT, "admin"),
    ("GET", "/bots", None, "admin"),
    ("GET", "/bots/b1", None, "admin"),
    ("PUT", "/segments/s1", {"name": "S"}, "editor"),
    ("DELETE", "/segments/s1", None, "editor"),
    ("PUT", "/bots/b1", {"name": "B"}, "admin"),
    ("DELETE", "/bots/b1", None, "admin"),
]
LOWER = {"viewer": None, "editor": "viewer", "admin": "editor"}


@pytest.mark.parametrize(("method", "path", "body", "role"), ROUTES)
async def test_every_route_asks_for_a_token_and_its_role(
    api: httpx.AsyncClient, token: Callable[..., str], method: str, path: str, body: Any, role: str
) -> None:
    nobody = await api.request(method, API + path, json=body, headers={"Authorization": "Bearer nonsense"})
    assert (nobody.status_code, nobody.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    lower = LOWER[role]
    if lower is not None:
        headers = {"Authorization": f"Bearer {token(lower)}"}
        low = await api.request(method, API + path, json=body, headers=headers)
        assert (low.status_code, low.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_another_org_sees_nothing_and_may_use_the_same_ids(
    api: httpx.AsyncClient, token: Callable[..., str]
) -> None:
    await api.put(f"{API}/contacts/c1", json=CONTACT)
    await api.post(f"{API}/segments", json={"id": "seg123", "name": "Ours"})
    bot = (await api.post(f"{API}/bots", json=BOT)).json()["data"]["id"]
    other = {"Authorization": f"Bearer {token('admin', 'other')}"}
    for path in ("/contacts/c1", "/segments/seg123", f"/bots/{bot}"):
        assert (await api.get(API + path, headers=other)).status_code == 404
    made = await api.post(f"{API}/segments", json={"id": "seg123", "name": "Theirs"}, headers=other)
    assert (made.status_code, made.json()["data"]["count"]) == (201, 0)
    listed = (await api.get(f"{API}/segments", headers=other)).json()["data"]
    assert [row["name"] for row in listed["segments"]] == ["Theirs"]
    assert (await api.get(f"{API}/bots", headers=other)).json()["data"]["bots"] == []


async def test_segments_are_made_once_listed_by_page_and_counted(api: httpx.AsyncClient) -> None:
    for number in range(3):
        body = {"id": f"seg{number}", "name": f"S {number}", "description": "d"}
        assert (await api.post(f"{API}/segments", json=body)).status_code == 201
    again = await api.post(f"{API}/segments", json={"id": "seg1", "name": "again"})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "SEGMENT_EXISTS")
    own = (await api.post(f"{API}/segments", json={"name": "no id"})).json()["data"]["id"]
    assert own.startswith("seg_")
    for contact in ("c1", "c2"):
        await api.put(f"{API}/contacts/{contact}", json={"telegramChatId": 1, "segments": ["seg1"]})
    assert (await api.get(f"{API}/segments/seg1")).json()["data"]["count"] == 2
    pages = [
        (await api.get(f"{API}/segments", params={"page": page, "limit": 3})).json()["data"]
        for page in (1, 2)
    ]
    assert pages[0]["pagination"] == {"page": 1, "limit": 3, "total": 4, "pages": 2}
    ids = [row["id"] for page in pages for row in page["segments"]]
    assert sorted(ids) == sorted([own, "seg0", "seg1", "seg2"])
    for bad in ({"limit": 101}, {"page": 0}, {"page": "x"}):
        assert (await api.get(f"{API}/segments", params=bad)).status_code == 400
    for body in ({}, {"name": " "}, {"name": "x", "id": "a b"}, {"name": "x", "filters": {}}):
        assert (await api.post(f"{API}/segments", json=body)).status_code == 422


async def test_the_first_bot_is_the_default_until_another_is_made_so(
    api: httpx.AsyncClient, wiring: Wiring
) -> None:
    first = (await api.post(f"{API}/bots", json=BOT)).json()["data"]
    assert first["limits"] == {
        "perSecond": 30, "perChatPerSecond": 1, "perGroupPerMinute": 20, "paidPerSecond": 1000,
    }  # fmt: skip
    assert (first["default"], first["telegramId"], first["username"]) == (True, 1001, "bot1001_bot")
    fast = {"name": "B", "token": "1002:good-2", "limits": {"perSecond": 1000}}
    second = (await api.post(f"{API}/bots", json=fast)).json()["data"]
    assert (second["default"], second["limits"]["perSecond"]) == (False, 1000)
    third = (
        await api.post(f"{API}/bots", json={"name": "C", "token": "1003:good-3", "default": True})
    ).json()
    shown = (await api.get(f"{API}/bots")).json()["data"]
    assert [row["default"] for row in shown["bots"]] == [False, False, True]
    default = await wiring.bots.default("acme")
    assert default is not None
    assert default.bot_id == third["data"]["id"]
    assert wiring.bots.token(default) == "1003:good-3"


async def test_a_token_is_stored_sealed_and_never_shown(api: httpx.AsyncClient, wiring: Wiring) -> None:
    made = await api.post(f"{API}/bots", json=BOT)
    listed = await api.get(f"{API}/bots")
    stored = await wiring.database["bots"].find_one({})
    for text in (made.text, listed.text, str(stored)):
        assert "good-secret" not in text


async def test_a_bot_that_telegram_refuses_or_cannot_confirm_is_not_stored(api: httpx.AsyncClient) -> None:
    async def post(**fields: Any) -> httpx.Response:
        return await api.post(f"{API}/bots", json={**BOT, **fields})

    for refused in ("1001:bad-secret", "no token at all", "1001:good/../x"):
        answer = await post(token=refused)
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "token")
        assert refused not in answer.text
    away = await post(token="1001:slow-secret")
    assert (away.status_code, away.json()["error"]["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert away.headers["retry-after"]
    for limits in ({"perSecond": 0}, {"perSecond": 100_001}, {"perMinute": 5}, {"paidPerSecond": 1001}):
        assert (await post(limits=limits)).status_code == 422
    assert (await api.get(f"{API}/bots")).json()["data"]["bots"] == []


async def test_the_same_telegram_bot_twice_is_a_conflict_even_at_once(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(api.post(f"{API}/bots", json=BOT) for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_contacts_put_at_once_are_all_stored(api: httpx.AsyncClient, wiring: Wiring) -> None:
    same = [api.put(f"{API}/contacts/one", json={**CONTACT, "attributes": {f"k{n}": n}}) for n in range(8)]
    answers = await asyncio.gather(*same)
    assert [answer.status_code for answer in answers] == [200] * 8
    stored = (await api.get(f"{API}/contacts/one")).json()["data"]["attributes"]
    assert stored == {f"k{n}": n for n in range(8)}, "no patch overwrote another"


async def test_an_import_takes_the_good_lines_and_tells_the_bad_ones(api: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b"id,telegramChatId,firstName,segments\r\nc1,1,\xd8\xb9\xd9"
        yield b"\x85\xd8\xb1,s1;s2\r\nc2,nope,Bo,s1\r\nc3,3,\xf0\x9f\x98\x80,s1\r\n"

    answer = await api.post(f"{API}/contacts/import", content=body(), headers={"Content-Type": "text/csv"})
    assert answer.status_code == 200, answer.text
    data = answer.json()["data"]
    assert (data["status"], data["lines"], data["bytes"]) == ("completed", 4, 86)
    assert (data["imported"], data["updated"], data["rejected"]) == (2, 0, 1)
    assert data["errors"] == [{"line": 3, "message": "telegramChatId: must be an integer"}]
    assert (await api.get(f"{API}/contacts/c1")).json()["data"]["firstName"] == "عمر"
    lines = b'{"id": "c1", "firstName": "Omar"}\n{"id": "c9"}\n'
    headers = {"Content-Type": "application/x-ndjson; charset=utf-8"}
    second = (await api.post(f"{API}/contacts/import", content=lines, headers=headers)).json()["data"]
    assert (second["imported"], second["updated"], second["rejected"]) == (0, 1, 1)
    kept = (await api.get(f"{API}/contacts/c1")).json()["data"]
    assert (kept["firstName"], kept["segments"]) == ("Omar", ["s1", "s2"])


async def test_an_import_that_cannot_be_read_is_refused_as_a_whole(api: httpx.AsyncClient) -> None:
    for media in ("application/json", "text/csv; charset=utf-16", ""):
        answer = await api.post(f"{API}/contacts/import", content=b"x", headers={"Content-Type": media})
        assert (answer.status_code, answer.json()["error"]["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    csv = await api.post(
        f"{API}/contacts/import", content=b"id,id\nc1,4\n", headers={"Content-Type": "text/csv"}
    )
    assert (csv.status_code, csv.json()["error"]["details"][0]["field"]) == (422, "id")


async def test_preflight_counts_for_the_one_who_shows_the_token(api: httpx.AsyncClient) -> None:
    for number in range(10):
        fields = {"telegramChatId": 1, "segments": ["s1", "s2"][: 1 + number % 2], "tester": number < 3}
        await api.put(f"{API}/contacts/c{number}", json=fields)
    query: dict[str, Any] = {
        "org": "acme", "segments": ["s1", "s2"], "testMode": False, "targetPercentage": 50,
        "samplingSeed": "x", "botIds": [],
    }  # fmt: skip

    async def ask(token: str = INTERNAL, **fields: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await api.post("/internal/preflight", json={**query, **fields}, headers=headers)

    sample = [number for number in range(10) if in_sample("x", f"c{number}", 50)]
    assert (await ask()).json() == {
        "totalCount": 10,
        "targeted": len(sample),
        "testers": 3,
        "suppressed": {},
        "bots": [],
    }
    bot = (await api.post(f"{API}/bots", json=BOT)).json()["data"]
    answer = (await ask(testMode=True, targetPercentage=100)).json()
    assert (answer["targeted"], answer["bots"]) == (
        3,
        [{"id": bot["id"], "name": "Main", "perSecond": 30, "paidPerSecond": 1000}],
    )
    assert [found["id"] for found in (await ask(botIds=["bot_other", bot["id"]])).json()["bots"]] == [
        bot["id"]
    ]
    assert (await ask(botIds=["bot_other"])).json()["bots"] == []
    nothing = {"totalCount": 0, "targeted": 0, "testers": 0, "suppressed": {}, "bots": []}
    assert (await ask(org="other")).json() == nothing
    assert (await ask(segments=[])).json()["totalCount"] == 0
    wrong = await ask(token="wrong")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
    assert (await ask(targetPercentage=0)).status_code == 422
