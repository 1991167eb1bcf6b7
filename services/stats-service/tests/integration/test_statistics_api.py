"""GET /campaigns/:id/statistics on real MongoDB: who may ask, and what is answered."""

import base64
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from stats_service.application.fold_batch import Batch, fold_batch
from stats_service.application.ports import Partition
from stats_service.application.read_fact import read_fact
from stats_service.bootstrap_api import ApiWiring, build_api
from stats_service.settings import ApiSettings

pytestmark = pytest.mark.integration

SECRET = "a-secret-of-the-tests-that-is-long-enough"
CAMPAIGN = "camp_01ARZ3NDEKTSV4RRFFQ69G5FAV"
PATH = f"/api/v1/campaigns/{CAMPAIGN}/statistics"

Token = Callable[..., dict[str, str]]


@pytest.fixture
def token() -> Token:
    """The header of a caller."""

    def make(org: str = "acme", role: str = "viewer", **claims: Any) -> dict[str, str]:
        given = {
            "sub": "user_1",
            "org": org,
            "role": role,
            "iss": "campaigns",
            "aud": "campaigns-api",
            "exp": datetime.now(UTC) + timedelta(minutes=5),
        } | claims
        return {"Authorization": f"Bearer {jwt.encode(given, SECRET, algorithm='HS256')}"}

    return make


@pytest.fixture
async def wiring(mongo_url: str, mongo_database: Any) -> AsyncIterator[ApiWiring]:
    settings = ApiSettings(
        kafka_bootstrap_servers="127.0.0.1:1",
        mongo_url=mongo_url,
        jwt_secret=SECRET,
        tracking_keys=f"k1:{base64.b64encode(bytes(32)).decode()}",
        jwt_algorithms=["HS256"],
    )
    wiring = ApiWiring(settings, database=mongo_database.name)
    await wiring.prepare()
    yield wiring
    await wiring.close()


async def fold_all(wiring: ApiWiring, bodies: list[bytes], first: int = 0) -> None:
    """Have `bodies` in the numbers, at offsets from `first`."""
    facts = [(offset, fact) for offset, raw in enumerate(bodies, first) if (fact := read_fact(raw))]
    partition = Partition("delivery-events", 0)
    await wiring.positions.read(partition)
    await fold_batch(
        Batch(partition, first, first + len(bodies) - 1, facts),
        transactions=wiring.transactions,
        positions=wiring.positions,
        ledger=wiring.ledger,
        attribution=timedelta(days=7),
    )


@pytest.fixture
async def client(wiring: ApiWiring, events: Any) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the API; the campaign of acme has three messages, one of them refused."""
    refused = [
        {"minute": 1, "messageId": "msg_1", "status": "failed", "errorCode": "USER_BLOCKED", "count": 1},
        {"minute": 1, "messageId": "msg_1", "status": "failed", "errorCode": "MESSAGE_TOO_LONG", "count": 5},
        {"minute": 1, "messageId": "msg_1", "status": "skipped", "errorCode": "MISSING_FIELD", "count": 7},
    ]
    bodies = [
        events.created(CAMPAIGN),
        events.window(0, campaign_id=CAMPAIGN),
        events.window(1, campaign_id=CAMPAIGN),
        events.changed(events.window(2, campaign_id=CAMPAIGN), "data.tally", refused),
    ]
    await fold_all(wiring, bodies)
    transport = httpx.ASGITransport(app=build_api(wiring), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://stats") as client:
        yield client


async def test_a_viewer_sees_the_overview_and_the_rates(client: httpx.AsyncClient, token: Token) -> None:
    answer = await client.get(PATH, headers=token())
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "data": {
            "overview": {
                "messagesSent": 3,
                "delivered": 2,
                "read": 0,
                "clicked": 0,
                "converted": 0,
                "revenue": 0,
            },
            "performance": {"deliveryRate": 66.7, "readRate": 0, "clickRate": 0, "conversionRate": 0},
        },
    }


async def test_without_a_valid_token_the_answer_is_401(client: httpx.AsyncClient, token: Token) -> None:
    for headers in ({}, {"Authorization": "Bearer x"}, token(aud="somebody-else"), token(role="king")):
        answer = await client.get(PATH, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")


async def test_another_organisation_and_an_unknown_campaign_are_not_told_apart(
    client: httpx.AsyncClient, token: Token
) -> None:
    theirs = await client.get(PATH, headers=token(org="other"))
    nobodys = await client.get("/api/v1/campaigns/camp_x/statistics", headers=token())
    assert theirs.status_code == nobodys.status_code == 404
    assert theirs.json()["error"] == nobodys.json()["error"]


async def test_a_deleted_campaigns_statistics_are_there_for_admins_only_whatever_comes_late(
    client: httpx.AsyncClient, wiring: ApiWiring, token: Token, events: Any
) -> None:
    before = (await client.get(PATH, headers=token(role="viewer"))).json()
    late = [events.created(CAMPAIGN, sequence=2), events.window(3, campaign_id=CAMPAIGN)]
    await fold_all(wiring, [events.deleted(CAMPAIGN, sequence=3), *late], first=4)
    answer = await client.get(PATH, headers=token(role="admin"))
    assert answer.status_code == 200
    assert answer.json()["data"]["overview"]["messagesSent"] == before["data"]["overview"]["messagesSent"] + 1
    unknown = await client.get("/api/v1/campaigns/camp_x/statistics", headers=token())
    for headers in (token(role="viewer"), token(role="editor"), token(org="other", role="admin")):
        answer = await client.get(PATH, headers=headers)
        assert (answer.status_code, answer.json()["error"]) == (404, unknown.json()["error"])


@pytest.mark.parametrize("query", ["period=7d", "metrics=overview", "colour=red"])
async def test_a_query_parameter_is_refused_by_name(
    client: httpx.AsyncClient, token: Token, query: str
) -> None:
    answer = await client.get(f"{PATH}?{query}", headers=token())
    body = answer.json()
    assert (answer.status_code, body["success"]) == (400, False)
    assert body["error"]["details"] == [{"field": query.partition("=")[0], "message": "is not available"}]
