"""Answers read from MongoDB are those of the fake, which are a recount; and they are of one moment."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest
from service_kit.mongo.transactions import MongoTransactions
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.adapters.book_keys import DAYS, HOURS, NUMBERS, TOTALS, book_of
from stats_service.adapters.book_rows import days_of, hours_of, totals_of
from stats_service.adapters.mongo_series import MongoSeries
from stats_service.application.get_statistics import Asked, GetStatistics
from stats_service.domain.dimensions import ALL, Cell, Kind, Line, Metric
from stats_service.domain.periods import Period
from stats_service.domain.question import question
from stats_service.domain.states import BookChanges
from stats_service.entrypoints.api.schemas import encode

pytestmark = pytest.mark.integration

CAMPAIGN = "camp/1~x"
"""An id that nobody gives, but that keys must take."""
NOW = datetime(2024, 4, 2, 11, 59, tzinfo=UTC)
MINUTE = int(NOW.timestamp()) // 60
LINES = [ALL, Line(Kind.MESSAGE, "m/1"), Line(Kind.MESSAGE, "m/1", "v~1"), Line(Kind.SEGMENT, "seg1"),
         Line(Kind.SEGMENT, "seg10"), Line(Kind.ERROR, "failed", "USER_BLOCKED")]  # fmt: skip
ZONES = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"]

Ask = Callable[..., Awaitable[Any]]


async def pause(_seconds: float) -> None:
    raise AssertionError("nobody waits")


def asking(books: Any, transactions: Any) -> Ask:
    """Asks the use case on these parts."""
    get = GetStatistics(
        books=books, transactions=transactions, clock=FixedClock(NOW), pause=pause, encode=encode,
        cache_bytes=2**20, told=lambda _: None,
    )  # fmt: skip

    async def ask(period: str = "all", metrics: str = "all", zone: str = "UTC") -> Any:
        asked = Asked(CAMPAIGN, "acme", question(Period(period), metrics, zone))
        return json.loads(await get(asked, deleted_too=False))["data"]

    return ask


@pytest.fixture
def ask(mongo_database: Any) -> Ask:
    """Asks on MongoDB."""
    books = MongoSeries(mongo_database, timeout=5)
    return asking(books, MongoTransactions(mongo_database.client, timeout=10))


async def add(database: Any, facts: list[Any], *, campaign: str = CAMPAIGN, version: int = 0) -> None:
    """Count `facts` as the fold does."""
    changes = BookChanges(org="acme")
    for minute, line, metric, count in facts:
        changes.count(Cell(minute, line, metric), count)
    book = book_of(campaign, version)

    async def write(tx: Any) -> None:
        writes = {TOTALS: totals_of(book, changes), DAYS: days_of(book, changes.cells),
                  HOURS: hours_of(book, changes.cells)}  # fmt: skip
        for name, updates in writes.items():
            await database[name].bulk_write(updates, ordered=False, session=tx)
        more = {"$inc": {"revision": 1}, "$set": {"version": version, "org": "acme"}}
        await database[NUMBERS].update_one({"_id": campaign}, more, upsert=True, session=tx)

    await MongoTransactions(database.client, timeout=10).run(write)


async def know(database: Any, **fields: Any) -> None:
    """The campaign, its organisation's price, and the names of segments."""
    await database["campaigns"].insert_one(
        {"_id": CAMPAIGN, "org": "acme", "name": "A", "sequence": 1, "deleted": False, "budget": 100.5,
         "segments": ["seg1", "seg2"], "messages": [["m/1", ["v~1", "v2"]]]} | fields
    )  # fmt: skip
    await database["prices"].insert_one(
        {"_id": "acme", "costPerMessage": 0.25, "currency": "EUR", "revision": 1, "dirty": False}
    )
    await database["segments"].insert_many(
        [{"_id": f"{org}/seg1", "name": name, "revision": 1, "deleted": deleted}
         for org, name, deleted in (("acme", "Premium", True), ("other", "Theirs", False))]
    )  # fmt: skip


async def test_answers_from_mongodb_are_those_of_the_fake(mongo_database: Any, ask: Ask, books: Any) -> None:
    random = Random(7)
    metrics = [*map(str, Metric), "revenue-EUR", "revenue-USD"]
    facts = [
        (MINUTE - random.choice((random.randrange(-30, 90), random.randrange(45 * 1440))), random.choice(LINES),
         random.choice(metrics), random.randrange(-3, 1000))
        for _ in range(1_500)
    ]  # fmt: skip
    await know(mongo_database)
    await add(mongo_database, facts)
    await add(mongo_database, [(MINUTE, ALL, "sent", 10**6)], campaign=CAMPAIGN + "0")
    await add(mongo_database, [(MINUTE, ALL, "sent", 10**6)], campaign="camp")
    books.know(
        CAMPAIGN, segments=("seg1", "seg2"), messages=(("m/1", ("v~1", "v2")),), budget=100.5,
        cost_per_message=0.25, currency="EUR",
    )  # fmt: skip
    books.count(*facts, campaign=CAMPAIGN)
    books.called["acme", "seg1"] = "Premium"
    expected = asking(books, InMemoryTransactions())
    for period in map(str, Period):
        for zone in ZONES:
            assert await ask(period, zone=zone) == await expected(period, zone=zone), (period, zone)
    for metrics_asked in ("timeline", "clicked", "segments", "errors,cost", "performance"):
        assert await ask("30d", metrics_asked) == await expected("30d", metrics_asked)


async def test_the_version_that_holds_is_read_and_no_other(mongo_database: Any, ask: Ask) -> None:
    await know(mongo_database)
    await add(mongo_database, [(MINUTE, line, "sent", 5) for line in LINES])
    before = await ask()
    await add(mongo_database, [(MINUTE, line, "sent", 7) for line in LINES], version=1)
    after = await ask()
    assert (before["overview"]["messagesSent"], after["overview"]["messagesSent"]) == (5, 7)
    assert [bucket["sent"] for bucket in after["timeline"]] == [7]
    assert [one["performance"]["sent"] for one in after["variations"]] == [7, 7, 0]
    for period in ("1h", "24h", "7d", "30d"):
        assert (await ask(period))["overview"]["messagesSent"] == 7


async def test_the_parts_of_an_answer_are_of_one_moment_while_numbers_change(
    mongo_database: Any, ask: Ask
) -> None:
    await know(mongo_database)
    lines = [line for line in LINES if line.kind is not Kind.ERROR]
    done = asyncio.Event()

    async def change() -> None:
        for _ in range(60):
            await add(mongo_database, [(MINUTE, line, "sent", 1) for line in lines])
        done.set()

    seen = set()
    changing = asyncio.create_task(change())
    while not done.is_set():
        for period in ("all", "1h", "7d"):
            answer = await ask(period)
            sent = answer["overview"]["messagesSent"]
            parts = [sum(bucket["sent"] for bucket in answer["timeline"]), answer["cost"]["total"] * 4]
            parts += [one["performance"]["sent"] for one in answer["segments"] if one["segmentId"] != "seg2"]
            parts += [
                one["performance"]["sent"] for one in answer["variations"] if one["variationId"] != "v2"
            ]
            # Before the first message only the audience's segments and the campaign's variations are there.
            assert set(parts) == {sent}
            seen.add(sent)
    await changing
    assert len(seen) > 5
    assert (await ask())["overview"]["messagesSent"] == 60


async def test_a_campaign_of_before_anything_was_counted_or_told_has_zeros(
    mongo_database: Any, ask: Ask
) -> None:
    await mongo_database["campaigns"].insert_one({"_id": CAMPAIGN, "org": "acme", "deleted": False})
    answer = await ask()
    assert answer["overview"]["messagesSent"] == 0
    assert answer["cost"] == {
        "total": 0, "perMessage": 0, "currency": "USD", "budget": None, "remaining": None,
    }  # fmt: skip
    assert (answer["timeline"], answer["segments"], answer["variations"]) == ([], [], [])
