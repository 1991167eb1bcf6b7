"""What every API answers, whatever the route: the envelope, limits, roles, request ids."""

import json
import time
from typing import Annotated

import httpx
import jwt
import pytest
from fastapi import APIRouter, Query
from pymongo.errors import ServerSelectionTimeoutError
from service_kit.api.app import Admin, Editor, Viewer, create_api
from service_kit.api.envelope import Pagination, RequestModel
from service_kit.api.types import Name
from service_kit.errors import Detail, ServiceError
from service_kit.settings import ServiceSettings

SECRET = "s" * 32
SETTINGS = ServiceSettings(
    kafka_bootstrap_servers="localhost:1",
    mongo_url="mongodb://localhost:1",
    jwt_secret=SECRET,
    max_body_bytes=2000,
)


class Thing(RequestModel):
    """A body."""

    full_name: Name
    score: float = 0


class NotThere(ServiceError):
    """The thing was not found."""

    code = "THING_NOT_FOUND"


router = APIRouter()


@router.post("/things")
async def make(thing: Thing, who: Editor) -> dict[str, str]:
    return {"name": thing.full_name, "org": who.org}


@router.get("/things/{thing_id}")
async def read(thing_id: str, _who: Viewer) -> dict[str, str]:
    if thing_id == "mongo":
        raise ServerSelectionTimeoutError("10.0.0.1:27017 refused")
    if thing_id == "bug":
        raise KeyError("internal words")
    raise NotThere(details=[Detail("thing", "no such thing")])


@router.get("/things")
async def page(_who: Viewer, limit: Annotated[int, Query(ge=1, le=100)] = 20) -> int:
    return limit


@router.delete("/things")
async def wipe(_who: Admin) -> None:
    return None


@router.post("/stream/import")
async def stream(_who: Viewer) -> str:
    return "ok"


def client(role: str | None = "editor") -> httpx.AsyncClient:
    app = create_api(
        title="things", routers=[router], settings=SETTINGS, statuses={NotThere: 404}, raw_paths=["/import"]
    )
    headers = {}
    if role:
        claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": "a", "org": "acme", "role": role}
        token = jwt.encode({**claims, "exp": time.time() + 60}, SECRET, algorithm="HS256")
        headers["Authorization"] = f"Bearer {token}"
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://test/api/v1", headers=headers)


def code_of(answer: httpx.Response) -> str:
    body = answer.json()
    assert body["success"] is False
    assert body["requestId"] == answer.headers["x-request-id"]
    assert set(body["error"]) == {"code", "message", "details"}
    return str(body["error"]["code"])


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "MALFORMED_JSON"),
        (b'{"fullName": "a", "score": NaN}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "a", "score": 1e999}', 422, "VALIDATION_FAILED"),
        (b"[]", 422, "VALIDATION_FAILED"),
        (b"null", 422, "VALIDATION_FAILED"),
        (b'{"fullName": ""}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "   "}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "a\\u0000b"}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "\\ud800"}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "a", "fullname": 1}', 422, "VALIDATION_FAILED"),
        (b'{"fullName": "' + b"x" * 3000 + b'"}', 413, "PAYLOAD_TOO_LARGE"),
        (b"[" * 1900 + b"]" * 50, 400, "MALFORMED_JSON"),
        (b"\xff\xfe", 400, "MALFORMED_JSON"),
    ],
)
async def test_a_bad_body_gets_a_clear_4xx_in_the_envelope(body: bytes, status: int, code: str):
    async with client() as http:
        answer = await http.post("/things", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (status, code)


async def test_a_field_error_names_the_field_and_the_rule():
    async with client() as http:
        answer = await http.post("/things", json={"fullName": "a", "colour": 1})
    assert answer.json()["error"]["details"] == [{"field": "colour", "message": "unknown field"}]


async def test_text_is_normalised_and_joiners_and_emoji_stay():
    async with client() as http:
        answer = await http.post("/things", json={"fullName": "e\u0301 👩‍👩‍👧 שלום"})
    assert answer.json() == {"name": "é 👩‍👩‍👧 שלום", "org": "acme"}


async def test_a_body_without_a_length_is_limited_too():
    async def drip():
        for _ in range(100):
            yield b'{"fullName": "' + b"x" * 50

    async with client() as http:
        answer = await http.post("/things", content=drip(), headers={"Content-Type": "application/json"})
    assert (answer.status_code, code_of(answer)) == (413, "PAYLOAD_TOO_LARGE")


async def test_another_media_type_is_refused_but_not_where_streams_are_taken():
    async with client() as http:
        refused = await http.post("/things", content=b"a=b", headers={"Content-Type": "text/plain"})
        taken = await http.post("/stream/import", content=b"x" * 5000, headers={"Content-Type": "text/csv"})
    assert (refused.status_code, code_of(refused)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert taken.status_code == 200


async def test_without_a_token_nothing_is_told():
    async with client(role=None) as http:
        answer = await http.get("/things/1")
        body = await http.post("/things", json={"bad": True})
    assert (answer.status_code, code_of(answer)) == (401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert body.status_code == 401


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        ("viewer", "GET", "/things", 200),
        ("viewer", "POST", "/things", 403),
        ("editor", "DELETE", "/things", 403),
        ("admin", "DELETE", "/things", 200),
    ],
)
async def test_roles_reach_as_far_as_they_should(role: str, method: str, path: str, status: int):
    async with client(role) as http:
        answer = await http.request(method, path, json={"fullName": "a"} if method == "POST" else None)
    assert answer.status_code == status
    assert status == 200 or code_of(answer) == "FORBIDDEN"


async def test_a_domain_error_becomes_the_status_of_its_table():
    async with client() as http:
        answer = await http.get("/things/x")
    assert (answer.status_code, code_of(answer)) == (404, "THING_NOT_FOUND")
    assert answer.json()["error"]["message"] == "The thing was not found."
    assert answer.json()["error"]["details"] == [{"field": "thing", "message": "no such thing"}]


async def test_a_database_that_is_away_is_503_with_retry_after_and_no_driver_words():
    async with client() as http:
        answer = await http.get("/things/mongo")
    assert (answer.status_code, code_of(answer)) == (503, "SERVICE_UNAVAILABLE")
    assert answer.headers["retry-after"] == "2"
    assert "10.0.0.1" not in answer.text


async def test_a_bug_is_500_without_internal_words():
    async with client() as http:
        answer = await http.get("/things/bug")
    assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
    assert "internal words" not in answer.text


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x"])
async def test_a_bad_query_is_400_and_names_the_parameter(query: str):
    async with client() as http:
        answer = await http.get(f"/things?{query}")
    assert (answer.status_code, code_of(answer)) == (400, "INVALID_PARAMETER")
    assert answer.json()["error"]["details"][0]["field"] == "limit"


async def test_unknown_paths_and_methods_wear_the_envelope():
    async with client() as http:
        lost = await http.get("/nothing/here")
        odd = await http.patch("/things")
    assert (lost.status_code, code_of(lost)) == (404, "NOT_FOUND")
    assert (odd.status_code, code_of(odd)) == (405, "METHOD_NOT_ALLOWED")
    assert odd.headers["Allow"] == "DELETE, GET, POST"


async def test_a_sane_request_id_is_kept_and_a_wild_one_is_not():
    async with client() as http:
        kept = await http.get("/things", headers={"X-Request-Id": "trace-12345"})
        made = await http.get("/things", headers={"X-Request-Id": "x" * 500})
    assert kept.headers["x-request-id"] == "trace-12345"
    assert made.headers["x-request-id"].startswith("req_")


def test_pages_are_as_many_as_the_rows_need():
    counts = {total: Pagination.of(page=1, limit=20, total=total).pages for total in (0, 1, 20, 21, 45)}
    assert counts == {0: 0, 1: 1, 20: 1, 21: 2, 45: 3}
    assert json.loads(Pagination.of(page=1, limit=20, total=45).model_dump_json()) == {
        "page": 1, "limit": 20, "total": 45, "pages": 3,
    }  # fmt: skip
