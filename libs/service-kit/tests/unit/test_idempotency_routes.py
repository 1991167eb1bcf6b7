"""What a client sees of `Idempotency-Key`: the header, the answers, the document."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated, Any

import httpx
import jwt
import pytest
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from service_kit.api.app import Editor, create_api
from service_kit.api.envelope import RequestModel, ResponseModel, Success
from service_kit.api.idempotency import Answer, Once
from service_kit.errors import ServiceError
from service_kit.idempotency.keys import KeyInFlight, fingerprint
from service_kit.idempotency.once import Idempotency
from service_kit.ports import Transactions, Tx
from service_kit.settings import ServiceSettings
from service_kit.testing.fakes import FixedClock, InMemoryIdempotencyKeys, InMemoryTransactions, staged

SECRET = "s" * 32
SETTINGS = ServiceSettings(
    kafka_bootstrap_servers="localhost:1", mongo_url="mongodb://localhost:1", jwt_secret=SECRET
)


class ThingIn(RequestModel):
    """A thing to be."""

    name: str = "thing"


class ThingOut(ResponseModel):
    """A thing."""

    full_name: str
    number: int


class Forbidden(ServiceError):
    """No such thing may be made."""

    code = "NO_SUCH_THING"


class Shop:
    """Makes things, as fast as `gate` lets it."""

    def __init__(self) -> None:
        self.things: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def make(self, name: str, *, transactions: Transactions) -> tuple[str, int]:
        async def work(tx: Tx) -> tuple[str, int]:
            await self.gate.wait()
            if name == "forbidden":
                raise Forbidden
            staged(tx, lambda: self.things.append(name))
            return name, len(self.things) + 1

        return await transactions.run(work)


def _shop(request: Request) -> Shop:
    shop: Shop = request.app.state.shop
    return shop


router = APIRouter()
TheShop = Annotated[Shop, Depends(_shop)]


def _made(made: tuple[str, int]) -> Answer:
    thing = ThingOut(full_name=made[0], number=made[1])
    return Answer(201, Success(data=thing), headers={"ETag": f'"{made[1]}"'})


@router.post("/things", status_code=201, response_model=Success[ThingOut], operation_id="makeThing")
async def make(body: ThingIn, _caller: Editor, shop: TheShop, once: Once) -> Response:
    """Make a thing."""
    return await once(lambda transactions: shop.make(body.name, transactions=transactions), answer=_made)


@router.post(
    "/things/{name}/start", status_code=201, response_model=Success[ThingOut], operation_id="startThing"
)
async def start(name: str, _caller: Editor, shop: TheShop, once: Once) -> Response:
    """Start a thing."""
    return await once(lambda transactions: shop.make(name, transactions=transactions), answer=_made)


@pytest.fixture
def app() -> FastAPI:
    """An API with such routes, on fakes."""
    keys = InMemoryIdempotencyKeys(
        clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC)), lock_seconds=20, keep_seconds=86400
    )
    made = create_api(
        title="things",
        routers=[router],
        settings=SETTINGS,
        statuses={Forbidden: 422},
        idempotency=Idempotency(keys, InMemoryTransactions(), release_seconds=1),
    )
    made.state.shop = Shop()
    return made


@pytest.fixture
def shop(app: FastAPI) -> Shop:
    """What the routes work on."""
    made: Shop = app.state.shop
    return made


@pytest.fixture
async def api(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """An editor of acme."""
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test/api/v1", headers=authorized("acme")
    ) as client:
        yield client


def authorized(org: str) -> dict[str, str]:
    claims = {"iss": "campaigns", "aud": "campaigns-api", "sub": "a", "org": org, "role": "editor"}
    token = jwt.encode({**claims, "exp": time.time() + 60}, SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {token}"}


def keyed(key: str = "k") -> dict[str, str]:
    return {"Idempotency-Key": key}


async def test_without_a_key_every_request_takes_effect(api: httpx.AsyncClient, shop: Shop):
    answers = [await api.post("/things", json={"name": "a"}) for _ in range(2)]
    assert [answer.json()["data"]["number"] for answer in answers] == [1, 2]
    assert all("idempotency-replayed" not in answer.headers for answer in answers)
    assert answers[0].json() == {"success": True, "data": {"fullName": "a", "number": 1}}
    assert answers[0].headers["etag"] == '"1"'
    assert shop.things == ["a", "a"]


async def test_the_answer_given_again_is_the_first_to_the_byte_and_says_so(
    api: httpx.AsyncClient, shop: Shop
):
    first, again = [await api.post("/things", json={"name": "ä 🌞"}, headers=keyed()) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert first.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    for name in ("etag", "content-type", "content-length"):
        assert first.headers[name] == again.headers[name]
    assert shop.things == ["ä 🌞"]


async def test_with_a_key_and_without_one_the_first_answer_has_the_same_form(api: httpx.AsyncClient):
    plain = await api.post("/things", json={})
    first = await api.post("/things", json={}, headers=keyed())
    assert plain.content.replace(b'"number":1', b'"number":2') == first.content
    assert plain.headers.keys() == first.headers.keys()


async def test_the_same_body_in_another_spelling_is_the_same_request(api: httpx.AsyncClient, shop: Shop):
    json_type = {"Content-Type": "application/json", **keyed()}
    await api.post("/things", content=b'{"name": "\\u0061"}', headers=json_type)
    again = await api.post("/things", content=b'\n{ "name" :"a"}', headers=json_type)
    assert again.headers["idempotency-replayed"] == "true"
    assert shop.things == ["a"]


async def test_another_body_or_another_route_under_the_same_key_is_422(api: httpx.AsyncClient, shop: Shop):
    await api.post("/things", json={"name": "a"}, headers=keyed())
    for answer in (
        await api.post("/things", json={"name": "b"}, headers=keyed()),
        await api.post("/things/a/start", headers=keyed()),
    ):
        assert answer.status_code == 422
        assert answer.json()["error"]["code"] == "IDEMPOTENCY_KEY_REUSED"
    assert shop.things == ["a"]


async def test_a_key_in_flight_is_409_with_the_time_to_wait(api: httpx.AsyncClient, shop: Shop):
    shop.gate.clear()
    first = asyncio.create_task(api.post("/things/a/start", headers=keyed()))
    await asyncio.wait([first], timeout=0.05)
    refused = await api.post("/things/a/start", headers=keyed())
    assert refused.status_code == 409
    assert refused.json()["error"]["code"] == "IDEMPOTENCY_KEY_IN_FLIGHT"
    assert refused.headers["retry-after"] == str(KeyInFlight.retry_after_seconds)
    shop.gate.set()
    assert (await first).status_code == 201
    assert (await api.post("/things/a/start", headers=keyed())).headers["idempotency-replayed"] == "true"
    assert shop.things == ["a"]


async def test_a_refused_request_may_be_mended_under_the_same_key(api: httpx.AsyncClient, shop: Shop):
    unknown = await api.post("/things", json={"colour": "red"}, headers=keyed())
    forbidden = await api.post("/things", json={"name": "forbidden"}, headers=keyed())
    mended = await api.post("/things", json={"name": "a"}, headers=keyed())
    assert [answer.status_code for answer in (unknown, forbidden, mended)] == [422, 422, 201]
    assert shop.things == ["a"]


async def test_organisations_do_not_share_keys(api: httpx.AsyncClient, shop: Shop):
    await api.post("/things", json={"name": "a"}, headers=keyed())
    other = await api.post("/things", json={"name": "b"}, headers={**keyed(), **authorized("other")})
    assert other.status_code == 201
    assert shop.things == ["a", "b"]


@pytest.mark.parametrize("key", ["", "x" * 256, "schlüssel".encode("latin-1"), b"a\x7fb", b"a\tb"])
async def test_a_key_that_is_no_key_is_400_and_the_header_is_named(
    key: Any, api: httpx.AsyncClient, shop: Shop
):
    answer = await api.post("/things", json={}, headers={b"Idempotency-Key": key})  # type: ignore[dict-item]
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "Idempotency-Key"
    assert shop.things == []


async def test_two_keys_on_one_request_are_400(api: httpx.AsyncClient, shop: Shop):
    headers = [("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await api.post("/things", json={}, headers=headers)
    assert answer.status_code == 400
    assert "Idempotency-Key" in answer.json()["error"]["message"]
    assert shop.things == []


@pytest.mark.parametrize("key", ["x", "x" * 255, "9f2c1f5e-6a53-4c8e-9d0b-0a4d8f3b7a11", "a/b $.{} ~"])
async def test_any_printable_ascii_is_a_key(key: str, api: httpx.AsyncClient):
    assert (await api.post("/things", json={}, headers=keyed(key))).status_code == 201
    assert (await api.post("/things", json={}, headers=keyed(key))).headers["idempotency-replayed"] == "true"


def test_the_document_shows_the_header_and_keeps_the_answers_model(app: FastAPI):
    operation = app.openapi()["paths"]["/api/v1/things"]["post"]
    header = next(item for item in operation["parameters"] if item["name"] == "Idempotency-Key")
    assert (header["in"], header["required"]) == ("header", False)
    created = operation["responses"]["201"]
    assert created["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/ThingAnswer"}
    assert "Idempotency-Replayed" in created["headers"]
    told = {
        status: answer["content"]["application/json"]["examples"]
        for status, answer in operation["responses"].items()
        if status in ("409", "422")
    }
    assert "IDEMPOTENCY_KEY_IN_FLIGHT" in told["409"]
    assert "IDEMPOTENCY_KEY_REUSED" in told["422"]
    assert operation["security"] == [{"bearer": ["editor"]}]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (b'{"a": 1, "b": [1, 2]}', b'{"b":[1,2],"a":1}', True),
        (b'{"a": 1}', b'{"a": 2}', False),
        (b'{"a": [1, 2]}', b'{"a": [2, 1]}', False),
        (b'{"a": 1}', b'{"a": true}', False),
        (b"", b"{}", False),
        (b"", b"", True),
        (b"\xff", b"\xfe", False),
        (b"[" * 100_000, b"[" * 99_999, False),
    ],
)
def test_bodies_are_compared_by_what_they_say(one: bytes, other: bytes, same: bool):
    assert (fingerprint("POST", "/t", one) == fingerprint("POST", "/t", other)) is same


def test_method_and_path_are_part_of_the_request():
    prints = {fingerprint(*request, b"{}") for request in [("POST", "/a"), ("POST", "/b"), ("PUT", "/a")]}
    assert len(prints) == 3
