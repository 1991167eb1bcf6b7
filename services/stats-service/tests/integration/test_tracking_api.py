"""GET /t/:token on real MongoDB: redirects, keys in turn, a database that is away."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from contracts.envelope import decode_as
from contracts.events.engagement import EngagementClicked
from contracts.ids import new_id
from contracts.tracking import Tracked, TrackedClick, TrackingKeys
from pymongo.uri_parser import parse_uri
from service_kit.testing.proxy import Proxy
from service_kit.testing.waiting import eventually
from stats_service.application.fold_batch import Batch, fold_batch
from stats_service.application.ports import Partition
from stats_service.application.read_fact import read_fact
from stats_service.bootstrap_api import ApiWiring, build_api
from stats_service.metrics import FOLLOWED
from stats_service.settings import ApiSettings
from structlog.testing import capture_logs

pytestmark = pytest.mark.integration

ONE, TWO = (f"k{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
KEYS = TrackingKeys(ONE)
EXECUTION, CONTACT = new_id("exec"), new_id("con")
URLS = ["https://shop.example/sale?a=1&b=[2]#c", "http://shop.example"]


@asynccontextmanager
async def serving(
    mongo_url: str, database: Any, keys: str
) -> AsyncIterator[tuple[ApiWiring, httpx.AsyncClient]]:
    """The API on `database`, with the part that stores clicks."""
    settings = ApiSettings(
        kafka_bootstrap_servers="127.0.0.1:1", mongo_url=mongo_url, mongo_timeout_ms=500, request_timeout_seconds=1,
        jwt_secret="a-secret-of-the-tests-that-is-long-enough", tracking_keys=keys, click_patience_seconds=0.3,
    )  # fmt: skip
    wiring = ApiWiring(settings, database=database.name)
    await wiring.prepare()
    keeping = asyncio.create_task(wiring.clicks.run())
    transport = httpx.ASGITransport(app=build_api(wiring), raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://stats/api/v1",
            headers={"User-Agent": "Mozilla/5.0 (a phone)"},
        ) as client:
            yield wiring, client
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        await wiring.close()


async def heard_of(wiring: ApiWiring, raw: bytes) -> list[str]:
    """Have the execution's links stored; their ids."""
    partition, fact = Partition("campaign-events", 0), read_fact(raw)
    assert fact is not None
    before = await wiring.positions.read(partition)
    await fold_batch(
        Batch(partition, before + 1, before + 1, [(before + 1, fact)]),
        transactions=wiring.transactions, positions=wiring.positions, ledger=wiring.ledger,
        attribution=timedelta(days=7),
    )  # fmt: skip
    return [link.link for link in fact.links]  # type: ignore[union-attr]


def path_of(keys: str, link: str) -> str:
    return f"/t/{TrackingKeys(keys).sign(Tracked(EXECUTION, link, CONTACT))}"


async def clicks(database: Any) -> list[EngagementClicked]:
    rows = await database["outbox"].find({"topic": "engagement-events"}).sort("_id").to_list(None)
    return [decode_as(EngagementClicked, row["value"]).data for row in rows]


async def test_a_button_leads_on_and_each_click_is_in_the_outbox(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    async with serving(mongo_url, mongo_database, ONE) as (wiring, client):
        links = await heard_of(wiring, events.started(URLS, execution_id=EXECUTION, test_mode=True))
        with capture_logs() as logs:
            for link, url in zip(links, URLS, strict=True):
                answer = await client.get(path_of(ONE, link), follow_redirects=False)
                assert (answer.status_code, answer.headers["Location"]) == (302, url)
                assert answer.headers["Cache-Control"] == "no-store"
                assert answer.content == b""
        served = [line for line in logs if line["event"] == "request.served"]
        assert {line["path"] for line in served} == {"/t/{token}"}
        told = await clicks(mongo_database)
        assert [(click.button, click.url, click.contact_id) for click in told] == [
            (0, URLS[0], CONTACT), (1, URLS[1], CONTACT),
        ]  # fmt: skip
        assert all(click.test_mode and click.execution_id == EXECUTION for click in told)


EVIL = "evil.example"
NO_TOKENS = [
    f"https://{EVIL}", f"//{EVIL}", f"/{EVIL}", f"%2F%2F{EVIL}", f"%252F%252F{EVIL}", f"https:{EVIL}", f"https:%5C%5C{EVIL}",
    f"%5C{EVIL}", f"javascript:alert(1)//{EVIL}", f"@{EVIL}", f"user@{EVIL}", f"%0d%0aLocation:%20https://{EVIL}",
    f"%0aLocation:https://{EVIL}", f"%E5%98%8A%E5%98%8DLocation:%20https://{EVIL}", "%00", "k1.%00", "k1.é", "k1.", "k1..", "%2e%2e",
    "..%2F..%2Ft", "k1.AAAA", f"k1.AAAA?url=https://{EVIL}", "x" * 512, "x" * 513, "%ff%fe",
]  # fmt: skip
TAMPERED = [
    "{}A", "{}=", "{}%3D", "{}%20", "{}%0A", "{}%0D%0ALocation:%20https://evil.example", "{}%00", "{}.evil.example", "{}@evil.example",
    "{}//evil.example", "{}/https://evil.example", "{}%2F%2Fevil.example", "{}%3Furl=https://evil.example", "%20{}", "%2F{}", "%0A{}",
    "%7B%7BclickId%7D%7D{}", "{}%7B%7BclickId%7D%7D",
]  # fmt: skip
"""A token of ours, and more than that."""
BESIDE: list[tuple[str, dict[str, str]]] = [
    (f"?url=https://{EVIL}&next=//{EVIL}&redirect_uri=https://{EVIL}", {}),
    (f"?clickId=https://{EVIL}", {}),
    (f"#@{EVIL}", {}),
    ("", {"Host": EVIL}),
    ("", {"X-Forwarded-Host": EVIL, "X-Forwarded-Proto": "http", "Forwarded": f"host={EVIL};proto=https"}),
    ("", {"X-Original-URL": f"https://{EVIL}", "X-Rewrite-URL": f"//{EVIL}", "X-Forwarded-Prefix": f"//{EVIL}"}),
    ("", {"Referer": f"https://{EVIL}", "Origin": f"https://{EVIL}"}),
]  # fmt: skip
"""What else a request may hold: nothing of it is looked at."""


async def test_what_is_no_token_is_404_without_a_word_more(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    async with serving(mongo_url, mongo_database, ONE) as (wiring, client):
        [link, _] = await heard_of(wiring, events.started(URLS, execution_id=EXECUTION))
        ours = path_of(ONE, link)
        clicked = KEYS.sign_click(TrackedClick(Tracked(EXECUTION, link, CONTACT), datetime.now(UTC)))
        for path in [f"/t/{token}" for token in (*NO_TOKENS, clicked)] + [
            "/t/" + more.format(ours[3:]) for more in TAMPERED
        ]:
            for method in ("GET", "HEAD"):
                answer = await client.request(method, path, follow_redirects=False)
                assert answer.status_code == 404, path
                assert "Location" not in answer.headers and "Refresh" not in answer.headers
                assert EVIL not in str(answer.headers) + answer.text
                if method == "GET":
                    assert (answer.json()["error"]["code"], answer.json()["error"]["details"]) == (
                        "NOT_FOUND", [],
                    )  # fmt: skip
        assert await clicks(mongo_database) == []


async def test_nothing_beside_the_token_changes_where_it_leads(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    async with serving(mongo_url, mongo_database, ONE) as (wiring, client):
        [link, _] = await heard_of(wiring, events.started(URLS, execution_id=EXECUTION))
        for more, headers in BESIDE:
            answer = await client.get(path_of(ONE, link) + more, headers=headers, follow_redirects=False)
            assert (answer.status_code, answer.headers["Location"]) == (302, URLS[0])
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            answer = await client.request(method, path_of(ONE, link), follow_redirects=False)
            assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD")


NOBODYS: list[tuple[str, str, dict[str, str]]] = [
    ("HEAD", "head", {}),
    ("GET", "machine", {"User-Agent": "TelegramBot (like TwitterBot)"}),
    *(
        ("GET", "prefetch", {name: value})
        for name, value in [
            ("Sec-Purpose", "prefetch"), ("Sec-Purpose", "prefetch;prerender"), ("Purpose", "prefetch"),
            ("Sec-Purpose", "prefetch;anonymous-client-ip"), ("X-Purpose", "preview"), ("X-Moz", "prefetch"),
        ]
    ),
]  # fmt: skip


async def test_who_looks_for_somebody_is_sent_on_with_a_click_id_and_is_no_click(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    url = "https://shop.example/?from={{clickId}}&b=[2]"
    async with serving(mongo_url, mongo_database, ONE) as (wiring, client):
        [link] = await heard_of(wiring, events.started([url], execution_id=EXECUTION))

        def counted(result: str) -> float:
            return FOLLOWED.labels(result=result)._value.get()

        for method, result, headers in [*NOBODYS, ("GET", "click", {"Sec-Purpose": "", "X-Moz": "other"})]:
            before = counted(result)
            answer = await client.request(method, path_of(ONE, link), headers=headers, follow_redirects=False)
            assert (answer.status_code, answer.content, counted(result)) == (302, b"", before + 1)
            assert answer.headers["Cache-Control"] == "no-store"
            click_id = answer.headers["Location"].removeprefix("https://shop.example/?from=")
            click = KEYS.read_click(click_id.removesuffix("&b=[2]"))
            assert click.tracked == Tracked(EXECUTION, link, CONTACT)
        [told] = await clicks(mongo_database)
        assert (told.url, told.clicked_at) == (url, click.at)


async def test_a_rotated_key_follows_old_links_until_it_is_taken_out(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    statuses = []
    for keys in (ONE, f"{TWO},{ONE}", TWO):
        async with serving(mongo_url, mongo_database, keys) as (wiring, client):
            [link, _] = await heard_of(wiring, events.started(URLS, execution_id=EXECUTION))
            answers = [await client.get(path_of(key, link), follow_redirects=False) for key in (ONE, TWO)]
            statuses.append([answer.status_code for answer in answers])
    assert statuses == [[302, 404], [302, 302], [404, 302]]


async def test_without_the_database_known_links_lead_on_and_their_clicks_are_told_later(
    mongo_url: str, mongo_database: Any, events: Any
) -> None:
    [(host, port)] = parse_uri(mongo_url)["nodelist"]
    async with Proxy(host, port) as proxy:
        there = (
            urlsplit(mongo_url)
            ._replace(
                netloc=f"127.0.0.1:{proxy.port}", query="directConnection=true&heartbeatFrequencyMS=500"
            )
            .geturl()
        )
        async with serving(there, mongo_database, ONE) as (wiring, client):
            known, unknown = await heard_of(wiring, events.started(URLS, execution_id=EXECUTION))
            assert (await client.get(path_of(ONE, known), follow_redirects=False)).status_code == 302
            proxy.freeze()
            away = [
                await client.get(path_of(ONE, link), follow_redirects=False)
                for link in (known, known, unknown)
            ]
            assert [answer.status_code for answer in away] == [302, 302, 503]
            assert away[2].headers["Retry-After"]
            proxy.thaw()
            told = await eventually(lambda: clicks(mongo_database), lambda seen: len(seen) >= 3, seconds=30)
            assert {click.url for click in told} == {URLS[0]}
            assert (await client.get(path_of(ONE, unknown), follow_redirects=False)).status_code == 302
