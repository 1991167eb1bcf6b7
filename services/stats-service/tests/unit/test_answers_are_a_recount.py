"""Every answer, in every combination of period, zone and metrics, is a plain recount of what was counted.

The recount looks at each minute's own date and time on the wall, and knows nothing of cells and buckets.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st
from service_kit.testing.fakes import FixedClock, InMemoryTransactions
from stats_service.application.get_statistics import Asked, GetStatistics
from stats_service.domain.dimensions import ALL, Kind, Line, Metric
from stats_service.domain.periods import Period
from stats_service.domain.question import COUNTED, OVERVIEW, Part, question
from stats_service.entrypoints.api.schemas import encode

Fact = tuple[int, Line, str, int]
Json = dict[str, Any]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NOWS = [
    datetime(2024, 4, 2, 11, 59, 59, tzinfo=UTC),  # clocks were put forward in Europe, and back in Australia
    datetime(2024, 11, 4, 0, 0, tzinfo=UTC),  # and back in America
    datetime(2024, 2, 29, 23, 59, tzinfo=UTC),
    datetime(2012, 1, 2, 9, 30, tzinfo=UTC),  # Samoa has just left out a day
    datetime(2024, 4, 27, 21, 15, tzinfo=UTC),  # Cairo had no midnight
]
ZONES = [
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Asia/Kolkata", "Australia/Lord_Howe",
    "Pacific/Apia", "Pacific/Chatham", "Pacific/Kiritimati", "Etc/GMT+12", "Africa/Cairo", "America/Havana",
    "America/St_Johns", "Antarctica/Troll",
]  # fmt: skip
SEGMENTS = ["seg1", "seg2", "old"]
LINES = [ALL, Line(Kind.MESSAGE, "m1"), Line(Kind.MESSAGE, "m1", "v1"), Line(Kind.MESSAGE, "m0", "x"),
         *(Line(Kind.SEGMENT, segment) for segment in SEGMENTS)]  # fmt: skip
METRICS = [*COUNTED.values(), "revenue-EUR", "revenue-USD"]
ERRORS = [Line(Kind.ERROR, "failed", "USER_BLOCKED"), Line(Kind.ERROR, "skipped", "NEW_CODE")]
AUDIENCE, MESSAGES = ("seg2", "seg1"), (("m1", ("v1", "v2")), ("m2", ()))
NAMES = {"seg1": "Premium Users", "old": "Gone"}
DATES = {"1h": timedelta(minutes=1), "24h": timedelta(hours=1)}


@st.composite
def books_of_facts(draw: st.DrawFn) -> tuple[datetime, list[Fact]]:
    """Now, and what was counted in the 40 days before, and a little after: much of it near edges."""
    now = draw(st.sampled_from(NOWS))
    present = (now - EPOCH) // timedelta(minutes=1)
    back = st.one_of(
        st.integers(-90, 130),
        st.builds(lambda hours, more: hours * 60 + more, st.integers(-3, 30), st.integers(-16, 16)),
        st.builds(lambda days, more: days * 1440 + more * 15, st.integers(-1, 40), st.integers(-60, 60)),
    )
    minutes = back.map(lambda minute: present - minute)
    counts = st.one_of(st.integers(1, 5), st.integers(-2, 900_000))
    lines = st.tuples(minutes, st.sampled_from(LINES), st.sampled_from(METRICS).map(str), counts)
    errors = st.tuples(minutes, st.sampled_from(ERRORS), st.just(str(Metric.COUNT)), counts)
    sent = st.tuples(minutes, st.sampled_from(LINES), st.just(str(Metric.SENT)), st.integers(1, 900_000))
    return now, draw(st.lists(st.one_of(lines, errors, sent), max_size=40))


METRIC_WORDS = st.one_of(
    st.just("all"),
    st.sampled_from([*Part, *OVERVIEW]).map(str),
    st.lists(st.sampled_from([*map(str, Part), *OVERVIEW]), min_size=1, max_size=5).map(",".join),
)


def wall(minute: int, zone: str) -> datetime:
    return (EPOCH + timedelta(minutes=minute)).astimezone(ZoneInfo(zone))


@lru_cache(maxsize=512)
def dates_between(first: int, last: int, zone: str) -> list[str]:
    """Every date that the wall showed."""
    return sorted(
        {wall(minute, zone).date().isoformat() for minute in range(first - first % 15, last + 1, 15)}
    )


def labels_of(period: str, zone: str, now: datetime, facts: Iterable[Fact]) -> list[str]:
    """The names of the period's buckets."""
    present = (now - EPOCH) // timedelta(minutes=1)
    if period in DATES:
        count = {"1h": 60, "24h": 24}[period]
        return [label(period, present - back * (DATES[period] // timedelta(minutes=1)), zone)
                for back in reversed(range(count))]  # fmt: skip
    if period != "all":
        days = int(period[:-1])
        return dates_between(present - (days + 3) * 1440, present, zone)[-days:]
    shown: dict[tuple[int, str], int] = defaultdict(int)
    for minute, line, metric, count in facts:
        if line == ALL and metric in ("sent", "delivered", "read", "clicked", "converted", "revenue-EUR"):
            shown[minute // 15, metric] += count
    quarters = [quarter for (quarter, _), count in shown.items() if count]
    return dates_between(min(quarters) * 15, max(quarters) * 15, zone) if quarters else []


def label(period: str, minute: int, zone: str) -> str:
    """The name of the bucket that a minute would be in."""
    if period in ("7d", "30d", "all"):
        return wall(minute, zone).date().isoformat()
    time = wall(minute, "UTC")
    return f"{time if period == '1h' else time.replace(minute=0):%Y-%m-%dT%H:%M:00Z}"


class Sums(defaultdict[tuple[Any, ...], int]):
    """Counts by any key, never shown below 0."""

    def __init__(self) -> None:
        super().__init__(int)

    def shown(self, *key: Any) -> int:
        return max(self.get(key, 0), 0)


def recount(facts: list[Fact], period: str, zone: str, now: datetime) -> Json:
    """The whole answer, but for intervals."""
    labels = labels_of(period, zone, now, facts)
    sums, ever = Sums(), Sums()
    for minute, line, metric, count in facts:
        ever[line, metric] += count
        if period == "all" or label(period, minute, zone) in labels:
            sums[line, metric] += count
            sums[line, metric, label(period, minute, zone)] += count

    def rate(line: Line, metric: str) -> float:
        sent = sums.shown(line, "sent")
        return round(100 * sums.shown(line, metric) / sent, 1) if sent else 0

    def performance(line: Line) -> Json:
        return {
            "sent": sums.shown(line, "sent"), "delivered": sums.shown(line, "delivered"),
            "clickRate": rate(line, "clicked"), "conversionRate": rate(line, "converted"),
        }  # fmt: skip

    present = {key[0] for key, count in sums.items() if len(key) == 2 and count > 0}
    own = [Line(Kind.MESSAGE, "m1")] if Line(Kind.MESSAGE, "m1") in present else []
    listed = [*own, Line(Kind.MESSAGE, "m1", "v1"), Line(Kind.MESSAGE, "m1", "v2"), Line(Kind.MESSAGE, "m2"),
              *(line for line in (Line(Kind.MESSAGE, "m0", "x"),) if line in present)]  # fmt: skip
    segments = [*AUDIENCE, *(["old"] if Line(Kind.SEGMENT, "old") in present else [])]
    texts = {"USER_BLOCKED": "User has blocked the bot", "NEW_CODE": "NEW_CODE"}
    errors = [
        {"outcome": line.first, "code": line.second, "count": sums.shown(line, "count"),
         "message": texts[line.second]}
        for line in ERRORS if sums.shown(line, "count")
    ]  # fmt: skip
    overview = {name: sums.shown(ALL, str(metric)) for name, metric in COUNTED.items()}
    revenue = {code: sums.shown(ALL, f"revenue-{code}") / 10_000 for code in ("EUR", "USD")}
    return {
        "overview": overview | {
            "revenue": revenue["EUR"],
            "revenueByCurrency": {code: amount for code, amount in revenue.items() if amount},
        },
        "performance": {
            "deliveryRate": rate(ALL, "delivered"), "readRate": rate(ALL, "read"),
            "clickRate": rate(ALL, "clicked"), "conversionRate": rate(ALL, "converted"),
        },
        "timeline": [
            {"date": date, "sent": sums.shown(ALL, "sent", date), "delivered": sums.shown(ALL, "delivered", date),
             "conversions": sums.shown(ALL, "converted", date), "read": sums.shown(ALL, "read", date),
             "clicked": sums.shown(ALL, "clicked", date),
             "revenue": sums.shown(ALL, "revenue-EUR", date) / 10_000}
            for date in labels
        ],
        "segments": [
            {"segmentId": segment, "name": NAMES.get(segment, segment),
             "performance": performance(Line(Kind.SEGMENT, segment))}
            for segment in segments
        ],
        "variations": [
            {"messageId": line.first, "variationId": line.second or None, "performance": performance(line)}
            for line in listed
        ],
        "errors": sorted(errors, key=lambda error: (-error["count"], error["code"])),
        "cost": {
            "total": sums.shown(ALL, "sent") / 4, "perMessage": 0.25, "currency": "EUR", "budget": 1000.5,
            "remaining": 1000.5 - ever.shown(ALL, "sent") / 4,
        },
    }  # fmt: skip


def limited(answer: Json, metrics: str) -> Json:
    """Of the whole answer what `metrics` asks for."""
    names = metrics.split(",")
    if "all" in names:
        return answer
    some = {name: part for name, part in answer.items() if name in names}
    if "overview" not in names and (fields := set(names) & set(OVERVIEW)):
        some["overview"] = {name: answer["overview"][name] for name in fields}
    return some


def ask(books: Any, now: datetime, period: str, zone: str, metrics: str) -> Json:
    """The answer's `data`, without what the recount does not know."""

    async def pause(_seconds: float) -> None:
        raise AssertionError("nobody waits")

    get = GetStatistics(
        books=books, transactions=InMemoryTransactions(), clock=FixedClock(now), pause=pause, encode=encode,
        cache_bytes=0, told=lambda _: None,
    )  # fmt: skip
    asked = Asked("camp_1", "acme", question(Period(period), metrics, zone))
    body = json.loads(asyncio.run(get(asked, deleted_too=False)))
    assert body["success"] is True
    data: Json = body["data"]
    assert set(data.pop("measurement")) == {*OVERVIEW, "cost"}
    for row in data.get("variations", ()):
        low, high = row["performance"].pop("interval")
        click_low, click_high = row["performance"].pop("clickInterval")
        assert 0 <= low <= min(row["performance"]["conversionRate"], 100) <= high <= 100
        assert 0 <= click_low <= min(row["performance"]["clickRate"], 100) <= click_high <= 100
    return data


def book(new_books: Any, facts: list[Fact]) -> Any:
    books = new_books()
    books.know(
        segments=AUDIENCE, messages=MESSAGES, budget=1000.5, cost_per_message=0.25, currency="EUR", revision=1
    )
    books.called = {("acme", segment): name for segment, name in NAMES.items()}
    books.facts = facts
    return books


@settings(max_examples=150, deadline=None)
@given(books_of_facts(), st.sampled_from([*map(str, Period)]), st.sampled_from(ZONES), METRIC_WORDS)
@example((NOWS[0], []), "all", "UTC", "all")
def test_an_answer_is_a_plain_recount(
    new_books: Any, of: tuple[datetime, list[Fact]], period: str, zone: str, metrics: str
) -> None:
    now, facts = of
    answer = ask(book(new_books, facts), now, period, zone, metrics)
    assert answer == limited(recount(facts, period, zone, now), metrics)


def test_every_period_in_every_zone_with_every_part_is_a_recount_of_90_days(new_books: Any) -> None:
    now = NOWS[0]
    present = (now - EPOCH) // timedelta(minutes=1)
    facts = [
        (present - back, LINES[back % len(LINES)], str(METRICS[back % len(METRICS)]), back % 97)
        for back in range(0, 90 * 1440, 331)
    ]
    books = book(new_books, facts)
    for zone in ("UTC", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"):
        for period in map(str, Period):
            whole = recount(facts, period, zone, now)
            for metrics in ("all", *map(str, Part), "clicked,revenue,timeline,cost"):
                assert ask(books, now, period, zone, metrics) == limited(whole, metrics), (zone, period)


def test_what_lies_outside_a_period_is_not_in_it(new_books: Any) -> None:
    now = NOWS[1]
    present = (now - EPOCH) // timedelta(minutes=1)
    for period, zone, inside in [("1h", "UTC", 59), ("24h", "UTC", 23 * 60), ("7d", "UTC", 6 * 1440),
                                 ("30d", "UTC", 29 * 1440), ("7d", "America/New_York", 6 * 1440 + 19 * 60 + 60)]:  # fmt: skip
        for minute, counted in [(present - inside, 1), (present - inside - 1, 0), (present, 1)]:
            books = book(new_books, [(minute, ALL, "sent", 1)])
            answer = ask(books, now, period, zone, "messagesSent,timeline")
            assert answer["overview"] == {"messagesSent": counted}, (period, zone)
            assert sum(bucket["sent"] for bucket in answer["timeline"]) == counted
