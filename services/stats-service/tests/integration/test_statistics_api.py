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

MINUTE = 29_000_000
"""2025-02-19T21:20Z, when the messages were sent."""

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
        {
            "minute": 28_998_000,
            "messageId": "msg_1",
            "status": "failed",
            "errorCode": "USER_BLOCKED",
            "count": 1,
        },
        {
            "minute": 28_998_000,
            "messageId": "msg_1",
            "status": "failed",
            "errorCode": "MESSAGE_TOO_LONG",
            "count": 5,
        },
        {
            "minute": 28_998_000,
            "messageId": "msg_1",
            "status": "skipped",
            "errorCode": "MISSING_FIELD",
            "count": 7,
        },
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


async def test_a_viewer_sees_what_was_folded(
    client: httpx.AsyncClient, wiring: ApiWiring, token: Token, events: Any
) -> None:
    await fold_all(wiring, [events.settings(0.25), events.segment("Premium Users")], first=4)
    answer = await client.get(PATH, headers=token())
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    assert body["success"] is True
    data = body["data"]
    assert data["overview"] == {
        "messagesSent": 3, "delivered": 2, "read": 0, "clicked": 0, "converted": 0, "revenue": 0,
        "failed": 6, "skipped": 7, "unknown": 0, "clickedTotal": 0, "convertedTotal": 0,
        "revenueByCurrency": {},
    }  # fmt: skip
    assert data["performance"] == {"deliveryRate": 66.7, "readRate": 0, "clickRate": 0, "conversionRate": 0}
    assert [(day["date"], day["sent"]) for day in data["timeline"]] == [("2025-02-18", 1), ("2025-02-19", 2)]
    assert data["cost"] == {
        "total": 0.75, "perMessage": 0.25, "currency": "EUR", "budget": None, "remaining": None,
    }  # fmt: skip
    assert [(error["code"], error["count"]) for error in data["errors"]] == [
        ("MISSING_FIELD", 7), ("MESSAGE_TOO_LONG", 5), ("USER_BLOCKED", 1),
    ]  # fmt: skip
    [variation] = data["variations"]
    assert (variation["messageId"], variation["variationId"]) == ("msg_1", None)
    assert variation["performance"]["sent"] == 3


async def test_what_people_did_is_shown_for_their_segments_and_variation_in_the_hour_when_they_did_it(
    client: httpx.AsyncClient, wiring: ApiWiring, token: Token, events: Any
) -> None:
    sent_at = datetime.fromtimestamp(MINUTE * 60, UTC)
    row = {"minute": MINUTE, "messageId": "msg_1", "variationId": "var_1", "status": "successful", "count": 2,
           "segments": [0], "contactIds": ["ada", "bob"]}  # fmt: skip
    window = events.window(4, campaign_id=CAMPAIGN, segment_ids=["seg_a"])
    clicks = [
        events.clicked(
            "ada", campaign_id=CAMPAIGN, clicked_at=sent_at + timedelta(hours=later), event_id=f"c{later}"
        )
        for later in (30, 1)
    ]
    bought = events.converted(
        "conv_1", "ada", campaign_id=CAMPAIGN, converted_at=sent_at + timedelta(hours=40), value=12.3456
    )
    bodies = [
        bought, *clicks, events.changed(window, "data.tally", [row]), events.settings(0.25),
        events.segment("Premium Users"),
    ]  # fmt: skip
    await fold_all(wiring, bodies, first=4)
    data = (await client.get(f"{PATH}?timezone=Asia/Kolkata", headers=token())).json()["data"]
    overview = data["overview"]
    assert [overview[name] for name in ("read", "clicked", "clickedTotal", "converted", "convertedTotal")] == [
        1, 1, 2, 1, 1,
    ]  # fmt: skip
    assert (overview["revenue"], overview["revenueByCurrency"]) == (12.3456, {"EUR": 12.3456})
    [segment] = data["segments"]
    assert (segment["segmentId"], segment["name"]) == ("seg_a", "Premium Users")
    assert segment["performance"] == {"sent": 2, "delivered": 2, "clickRate": 50, "conversionRate": 50}
    mine = next(one for one in data["variations"] if one["variationId"] == "var_1")
    assert mine["performance"]["interval"] == [9.5, 90.5]
    # In India it was ten to three on the 20th when they were sent.
    days = {day["date"]: (day["sent"], day["clicked"], day["revenue"]) for day in data["timeline"]}
    assert (days["2025-02-20"], days["2025-02-21"]) == ((4, 1, 0), (0, 0, 12.3456))


async def test_what_is_folded_is_seen_by_the_next_who_asks(
    client: httpx.AsyncClient, wiring: ApiWiring, token: Token, events: Any
) -> None:
    for offset in range(4, 8):
        before = (await client.get(PATH, headers=token())).json()["data"]["overview"]["messagesSent"]
        await fold_all(wiring, [events.window(offset, campaign_id=CAMPAIGN)], first=offset)
        after = (await client.get(PATH, headers=token())).json()["data"]["overview"]["messagesSent"]
        assert after == before + 1


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


@pytest.mark.parametrize(
    ("query", "parameter", "rule"),
    [
        ("period=2d", "period", "Input should be '1h', '24h', '7d', '30d' or 'all'"),
        ("period=", "period", "Input should be '1h', '24h', '7d', '30d' or 'all'"),
        ("metrics=colour", "metrics", "'colour' is none of all, overview"),
        ("metrics=overview,,timeline", "metrics", "'' is none of all, overview"),
        ("metrics=" + "a" * 500, "metrics", "at most 400 characters"),
        ("timezone=Mars/Olympus", "timezone", "must be an IANA time zone such as Europe/Berlin"),
        ("timezone=" + "a" * 100, "timezone", "at most 64 characters"),
        ("colour=red", "colour", "is none of period, metrics, timezone"),
        ("Period=7d", "Period", "is none of period, metrics, timezone"),
        ("period=7d&period=30d", "period", "must be given once"),
        ("timezone=UTC&timezone=UTC", "timezone", "must be given once"),
        ("metrics=overview&metrics=timeline", "metrics", "must be given once"),
    ],
)
async def test_an_odd_query_is_refused_by_parameter_and_rule(
    client: httpx.AsyncClient, token: Token, query: str, parameter: str, rule: str
) -> None:
    answer = await client.get(f"{PATH}?{query}", headers=token())
    body = answer.json()
    assert (answer.status_code, body["success"]) == (400, False)
    [detail] = body["error"]["details"]
    assert detail["field"] == parameter and rule in detail["message"]
    assert body["error"]["message"] == f"{parameter}: {detail['message']}"


async def test_only_what_is_asked_for_is_answered(client: httpx.AsyncClient, token: Token) -> None:
    async def asked(query: str) -> dict[str, Any]:
        answer = await client.get(f"{PATH}?{query}", headers=token())
        data: dict[str, Any] = answer.json()["data"]
        return data

    assert set(await asked("metrics=timeline,cost")) == {"timeline", "cost", "measurement"}
    one = await asked("metrics=failed&period=all&timezone=Asia/Tokyo")
    assert (one["overview"], set(one)) == ({"failed": 6}, {"overview", "measurement"})
    assert len((await asked("metrics=all&period=7d&timezone=Europe%2FBerlin"))["timeline"]) == 7
