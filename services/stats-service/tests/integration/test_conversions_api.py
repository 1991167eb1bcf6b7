"""/conversions on real MongoDB: told once, refused by field, nobody else's."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from contracts.envelope import decode_as, format_time
from contracts.events.engagement import EngagementConverted
from contracts.ids import new_id
from contracts.tracking import Tracked, TrackedClick, TrackingKeys
from service_kit.mongo.transactions import MongoTransactions
from service_kit.ports import Tx
from stats_service.application.fold_batch import Batch, fold_batch
from stats_service.application.ports import Partition
from stats_service.application.read_fact import read_fact
from stats_service.bootstrap_api import ApiWiring, build_api
from stats_service.settings import ApiSettings

pytestmark = pytest.mark.integration

SECRET = "a-secret-of-the-tests-that-is-long-enough"
ONE, TWO = (f"k{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
KEYS = TrackingKeys(ONE)
CAMPAIGN, THEIRS = "camp_01ARZ3NDEKTSV4RRFFQ69G5FAV", "camp_01ARZ3NDEKTSV4RRFFQ69G5FAW"
EXECUTION, CONTACT = new_id("exec"), new_id("con")
SHOP = "https://shop.example/?click={{clickId}}"
PATH = "/conversions"


def token(org: str = "acme", role: str = "editor") -> dict[str, str]:
    """The header of a caller."""
    claims = {"sub": "user_1", "org": org, "role": role, "iss": "campaigns", "aud": "campaigns-api",
              "exp": datetime.now(UTC) + timedelta(minutes=5)}  # fmt: skip
    return {"Authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


@pytest.fixture
async def wiring(mongo_url: str, mongo_database: Any, events: Any) -> AsyncIterator[ApiWiring]:
    """acme has a campaign with a button and counts in EUR; other has a campaign."""
    settings = ApiSettings(
        kafka_bootstrap_servers="127.0.0.1:1", mongo_url=mongo_url, jwt_secret=SECRET, jwt_algorithms=["HS256"],
        tracking_keys=f"{TWO},{ONE}",
    )  # fmt: skip
    wiring = ApiWiring(settings, database=mongo_database.name)
    await wiring.prepare()
    bodies = [
        events.started([SHOP], campaign_id=CAMPAIGN, execution_id=EXECUTION),
        events.started([SHOP], campaign_id=THEIRS, execution_id=f"{EXECUTION}2", org="other"),
        events.settings(0.1),
    ]
    facts = [(at, fact) for at, raw in enumerate(bodies) if (fact := read_fact(raw))]
    partition = Partition("campaign-events", 0)
    await wiring.positions.read(partition)
    await fold_batch(
        Batch(partition, 0, len(bodies) - 1, facts),
        transactions=wiring.transactions, positions=wiring.positions, ledger=wiring.ledger,
        attribution=timedelta(days=7),
    )  # fmt: skip
    yield wiring
    await wiring.close()


@pytest.fixture
async def client(wiring: ApiWiring) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=build_api(wiring), raise_app_exceptions=False)
    base, headers = "http://stats/api/v1", token()
    async with httpx.AsyncClient(transport=transport, base_url=base, headers=headers) as client:
        yield client


async def link_of(database: Any, execution: str) -> str:
    rows = await database["links"].find({}).to_list(None)
    (link,) = [row["_id"].rpartition(":")[2] for row in rows if row["_id"].startswith(f"{execution}:")]
    return str(link)


@pytest.fixture
async def click_id(wiring: ApiWiring) -> str:
    """A click an hour ago, signed with the older of the two keys."""
    tracked = Tracked(EXECUTION, await link_of(wiring.database, EXECUTION), CONTACT)
    return KEYS.sign_click(TrackedClick(tracked, datetime.now(UTC) - timedelta(hours=1)))


async def told(database: Any) -> list[EngagementConverted]:
    rows = await database["outbox"].find({"topic": "engagement-events"}).sort("_id").to_list(None)
    return [decode_as(EngagementConverted, row["value"]).data for row in rows]


async def test_a_conversion_by_click_is_told_and_shown_as_it_was_recorded(
    client: httpx.AsyncClient, mongo_database: Any, click_id: str
) -> None:
    body = {"clickId": click_id, "value": 0.1234, "currency": "EUR", "externalId": "Bestellung №1"}
    first = await client.post(PATH, json=body)
    assert first.status_code == 201, first.text
    data = first.json()["data"]
    assert data["click"]["executionId"] == EXECUTION and data["click"]["messageId"] == "msg_1"
    assert (data["campaignId"], data["contactId"], data["value"], data["currency"], data["testMode"]) == (
        CAMPAIGN, CONTACT, 0.1234, "EUR", False,
    )  # fmt: skip
    assert data["occurredAt"] == data["recordedAt"] and not data.pop("duplicate")
    for role in ("viewer", "editor", "admin"):
        shown = await client.get(f"{PATH}/{data['id']}", headers=token(role=role))
        assert (shown.status_code, shown.json()["data"]) == (200, data)
    [event] = await told(mongo_database)
    assert (event.conversion_id, event.value, event.contact_id) == (data["id"], 0.1234, CONTACT)
    assert event.click is not None and format_time(event.click.clicked_at) == data["click"]["clickedAt"]
    again = await client.post(PATH, json={**body, "value": 7})
    assert (again.status_code, again.json()["data"]) == (200, {**data, "duplicate": True})
    assert len(await told(mongo_database)) == 1


async def test_a_conversion_by_contact_is_told_with_the_usual_for_what_is_not_said(
    client: httpx.AsyncClient, mongo_database: Any
) -> None:
    at = format_time(datetime.now(UTC) - timedelta(days=89))
    body = {"campaignId": CAMPAIGN, "contactId": "c-1@~", "occurredAt": at}
    answers = [await client.post(PATH, json=body) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert [(event.contact_id, event.click, event.value, event.currency) for event in await told(mongo_database)] == [
        ("c-1@~", None, 0, answers[0].json()["data"]["currency"])
    ] * 2  # fmt: skip
    assert answers[0].json()["data"]["occurredAt"] == at


async def test_of_many_at_the_same_moment_one_is_recorded_and_all_are_shown_it(
    client: httpx.AsyncClient, mongo_database: Any, click_id: str
) -> None:
    bodies = [{"clickId": click_id, "value": value, "externalId": "order-1"} for value in range(16)]
    # Half of them have a key of their own: keys and external ids do not get into each other's way.
    headers = [{"Idempotency-Key": f"key-{n}"} if n % 2 else {} for n in range(16)]
    answers = await asyncio.gather(
        *(client.post(PATH, json=body, headers=more) for body, more in zip(bodies, headers, strict=True))
    )
    assert Counter(answer.status_code for answer in answers) == {201: 1, 200: 15}
    shown = [answer.json()["data"] for answer in answers]
    assert Counter(data["duplicate"] for data in shown) == {False: 1, True: 15}
    [event] = await told(mongo_database)
    assert {(data["id"], data["value"]) for data in shown} == {(event.conversion_id, event.value)}
    assert await mongo_database["conversions"].count_documents({}) == 1


async def test_a_key_alone_makes_a_conversion_safe_to_repeat(
    client: httpx.AsyncClient, mongo_database: Any, click_id: str
) -> None:
    body, key = {"clickId": click_id, "value": 5}, {"Idempotency-Key": "once"}
    first, again = [await client.post(PATH, json=body, headers=key) for _ in range(2)]
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    other = await client.post(PATH, json={**body, "value": 6}, headers=key)
    assert other.status_code == 422
    assert len(await told(mongo_database)) == 1


async def test_who_never_got_the_answer_and_tells_again_without_a_key_has_told_once(
    wiring: ApiWiring, client: httpx.AsyncClient, mongo_database: Any, click_id: str, monkeypatch: Any
) -> None:
    run, deaths = MongoTransactions.run, iter([True, False])

    async def lost(self: MongoTransactions, work: Callable[[Tx], Any]) -> Any:
        result = await run(self, work)
        if next(deaths):
            raise TimeoutError  # committed, and nobody heard of it
        return result

    monkeypatch.setattr(MongoTransactions, "run", lost)
    body = {"clickId": click_id, "externalId": "order-1"}
    assert (await client.post(PATH, json=body)).status_code == 503
    again = await client.post(PATH, json=body)
    assert (again.status_code, again.json()["data"]["duplicate"]) == (200, True)
    assert len(await told(mongo_database)) == 1


def moment(**delta: float) -> str:
    return format_time(datetime.now(UTC) + timedelta(**delta))


BY_CLICK: list[tuple[str, dict[str, Any]]] = [
    *(("value", {"value": bad}) for bad in (-1, -0.0001, 1.00001, 1_000_000_000.5, 1e300, "5", True, None, [1], 10**400)),
    *(("currency", {"currency": bad}) for bad in ("eur", "EURO", "", 5)),
    *(("occurredAt", {"occurredAt": bad}) for bad in ("yesterday", 1717423950, "2024-06-03", "2024-06-03T14:12:30", "9999-12-31T23:59:59Z")),
    *(("externalId", {"externalId": bad}) for bad in ("", "   ", "x" * 201, "a\u0000b", 5)),
    *(("clickId", {"clickId": bad}) for bad in ("", "x", "k1.AAAA", "x" * 513, 5, None)),
    ("campaignId", {"campaignId": CAMPAIGN}),
    ("contactId", {"contactId": CONTACT}),
    ("contact", {"contact": CONTACT}),
]  # fmt: skip
BY_CONTACT: list[tuple[str, dict[str, Any]]] = [
    *(("campaignId", {"campaignId": bad}) for bad in (THEIRS, "camp_none", "", "a b", "x" * 129, 5, None)),
    *(("contactId", {"contactId": bad}) for bad in ("", "a/b", "x" * 129, 5, None)),
]  # fmt: skip


async def test_what_cannot_be_is_refused_by_field_and_nothing_is_kept(
    client: httpx.AsyncClient, mongo_database: Any, click_id: str
) -> None:
    by_click = [(field, {"clickId": click_id, **bad}) for field, bad in BY_CLICK]
    by_contact = [(field, {"campaignId": CAMPAIGN, "contactId": "c1", **bad}) for field, bad in BY_CONTACT]
    link = KEYS.sign(KEYS.read_click(click_id).tracked)
    theirs = Tracked(f"{EXECUTION}2", await link_of(mongo_database, f"{EXECUTION}2"), CONTACT)
    foreign = KEYS.sign_click(TrackedClick(theirs, datetime.now(UTC)))
    others = [("clickId", {"clickId": bad}) for bad in (link, foreign, click_id + "A", click_id[:-1])]
    moments = (moment(minutes=6), moment(days=-91), moment(hours=-2))  # now: the test may begin long after
    others += [("occurredAt", {"clickId": click_id, "occurredAt": bad}) for bad in moments]
    for field, body in [*by_click, *by_contact, *others, ("clickId", {})]:
        answer = await client.post(PATH, json=body)
        assert answer.status_code == 422, (body, answer.text)
        assert field in [detail["field"] for detail in answer.json()["error"]["details"]], (body, answer.text)
    for bad in ("NaN", "Infinity", "-Infinity", "1e400"):
        raw = json.dumps({"clickId": click_id, "value": 0}).replace(": 0}", f": {bad}}}")
        answer = await client.post(PATH, content=raw, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["details"][0]["field"]) == (422, "value"), bad
    assert await told(mongo_database) == []
    assert await mongo_database["conversions"].count_documents({}) == 0


async def test_roles_and_organisations_see_what_is_theirs(client: httpx.AsyncClient, click_id: str) -> None:
    body = {"clickId": click_id, "externalId": "order-1"}
    assert (await client.post(PATH, json=body, headers=token(role="viewer"))).status_code == 403
    assert (await client.post(PATH, json=body, headers={"Authorization": "x"})).status_code == 401
    mine = (await client.post(PATH, json=body)).json()["data"]["id"]
    assert (await client.post(PATH, json=body, headers=token("other"))).status_code == 422
    theirs = {"campaignId": THEIRS, "contactId": CONTACT, "externalId": "order-1"}
    other = await client.post(PATH, json=theirs, headers=token("other"))
    assert other.status_code == 201 and other.json()["data"]["id"] != mine
    for org, conversion in (("other", mine), ("acme", other.json()["data"]["id"]), ("acme", "conv_none")):
        answer = await client.get(f"{PATH}/{conversion}", headers=token(org))
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


async def test_an_erased_contact_is_emptied_and_the_conversion_stays(
    wiring: ApiWiring, client: httpx.AsyncClient
) -> None:
    named = {"campaignId": CAMPAIGN, "contactId": "c1", "value": 5}
    ids = [
        (await client.post(PATH, json={**named, **more})).json()["data"]["id"]
        for more in ({}, {"contactId": "c2"})
    ]
    theirs = await client.post(PATH, json={**named, "campaignId": THEIRS}, headers=token("other"))
    for _ in range(2):
        await wiring.transactions.run(lambda tx: wiring.conversions.forget_contact(tx, "acme", "c1"))
    shown = [(await client.get(f"{PATH}/{one}")).json()["data"] for one in ids]
    assert [(data["contactId"], data["value"]) for data in shown] == [(None, 5), ("c2", 5)]
    kept = await client.get(f"{PATH}/{theirs.json()['data']['id']}", headers=token("other"))
    assert kept.json()["data"]["contactId"] == "c1"


async def test_a_conversion_told_after_the_erasure_never_names_the_contact_and_is_told_as_the_persons(
    wiring: ApiWiring, client: httpx.AsyncClient, mongo_database: Any, click_id: str
) -> None:
    for _ in range(2):
        await wiring.transactions.run(lambda tx: wiring.conversions.forget_contact(tx, "acme", CONTACT))
    bodies = [{"clickId": click_id, "externalId": "1"}, {"campaignId": CAMPAIGN, "contactId": CONTACT}]
    for body in [*bodies, *bodies]:
        answer = await client.post(PATH, json=body)
        assert answer.json()["data"]["contactId"] is None, answer.text
        shown = await client.get(f"{PATH}/{answer.json()['data']['id']}")
        assert shown.json()["data"]["contactId"] is None
    assert [event.contact_id for event in await told(mongo_database)] == [CONTACT] * 3
    theirs = {"campaignId": THEIRS, "contactId": CONTACT}
    answer = await client.post(PATH, json=theirs, headers=token("other"))
    assert answer.json()["data"]["contactId"] == CONTACT
    # Erased ones are remembered for ever, the others for as long as two can be in each other's way.
    rows = await mongo_database["erasures"].find({}, {"_id": 0}).to_list(None)
    assert sorted(map(sorted, rows)) == [["erased"], ["told", "toldAt"]]
