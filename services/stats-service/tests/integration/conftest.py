"""Aggregator processes, messages on real topics, and books read as they lie in MongoDB."""

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from service_kit.testing.waiting import eventually
from stats_service.adapters.book_keys import (
    DAYS,
    HOURS,
    NUMBERS,
    TOTALS,
    book_of,
    days_range,
    hours_range,
    kind_range,
    line_and_time,
    line_of_total,
)
from stats_service.adapters.kafka_log import KafkaLog
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.read_fact import read_fact
from stats_service.domain.dimensions import QUARTER_MINUTES, QUARTERS_A_DAY, Kind, Line
from stats_service.domain.recount import Book, Recount
from stats_service.entrypoints.subscriptions import TOPICS

DATABASE = "stats-service"
EVER = 9_999_999
WEEK = timedelta(days=7)
PATIENCE = 120
"""A process killed in a transaction leaves it open for some seconds, and its successors wait for the documents."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Aggregator:
    """A process, and what can happen to it."""

    environment: dict[str, str]
    log: Path
    process: asyncio.subprocess.Process | None = None

    @property
    def runs(self) -> bool:
        return self.process is not None and self.process.returncode is None

    async def start(self, **settings: str) -> None:
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "stats_service",
                "aggregator",
                env={**os.environ, **self.environment, **settings, "ADMIN_PORT": str(free_port())},
                stdout=log,
                stderr=log,
            )

    def send(self, sign: signal.Signals) -> None:
        assert self.process is not None
        if self.runs:
            self.process.send_signal(sign)

    async def end(self, sign: signal.Signals) -> int:
        assert self.process is not None
        self.send(sign)
        return await asyncio.wait_for(self.process.wait(), 30)


@pytest.fixture
async def database(mongo_client: Any) -> AsyncIterator[Any]:
    """The service's own database, which its processes use: empty, and gone afterwards."""
    await mongo_client.drop_database(DATABASE)
    yield mongo_client[DATABASE]
    await mongo_client.drop_database(DATABASE)


@pytest.fixture
def environment(kafka_bootstrap_servers: str, mongo_url: str) -> dict[str, str]:
    """What a process of the service needs to know."""
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap_servers,
        "MONGO_URL": mongo_url,
        "JWT_SECRET": "a-secret-of-the-tests-that-is-long-enough",
        "CATCH_UP_SECONDS": "0.5",
    }


class Job:
    """A job of the service, as people start it."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self._environment = {**os.environ, **environment}
        self._arguments = arguments

    async def start(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stats_service",
            *self._arguments,
            env=self._environment,
            stdout=PIPE,
            stderr=PIPE,
        )

    async def run(self) -> tuple[int | None, str, str]:
        """Exit code, output and errors."""
        process = await self.start()
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
        return process.returncode, out.decode(), err.decode()

    async def run_for(self, seconds: float) -> int:
        """Exit code; killed after so many seconds."""
        process = await self.start()
        try:
            async with asyncio.timeout(seconds):
                await process.communicate()
        except TimeoutError:
            process.kill()
        return await process.wait()


@pytest.fixture
def job(environment: dict[str, str]) -> Callable[..., Job]:
    return partial(Job, environment)


@pytest.fixture
async def aggregators(
    database: Any, environment: dict[str, str], tmp_path: Path
) -> AsyncIterator[list[Aggregator]]:
    """Two instances, not started."""
    two = [Aggregator(environment, tmp_path / f"aggregator-{number}.log") for number in range(2)]
    yield two
    for one in two:
        if one.runs:
            one.send(signal.SIGCONT)
            await one.end(signal.SIGKILL)
        if one.log.exists():
            print(one.log.read_text(encoding="utf-8")[-20_000:])  # pytest shows it when the test failed


@dataclass
class Topics:
    """The real topics, and how far the service has got in them."""

    producer: AIOKafkaProducer
    log: KafkaLog
    positions: MongoPositions

    async def publish(self, messages: Iterable[Any]) -> None:
        """`messages` have topic, key and body."""
        for message in messages:
            await self.producer.send(message.topic, message.body, key=message.key.encode())
        await self.producer.flush()

    async def reached(self) -> int:
        """Grows with every position that moves."""
        return sum((await self.positions.all()).values())

    async def behind(self) -> int:
        """Messages beyond the positions."""
        positions = await self.positions.all()
        bounds = await self.log.bounds(TOPICS)
        return sum(max(0, end - 1 - positions.get(part, -1)) for part, (_, end) in bounds.items())

    async def are_folded(self) -> None:
        """Wait until every position is at its topic's end."""
        await eventually(self.behind, lambda left: left == 0, seconds=3 * PATIENCE, every=0.3)


@pytest.fixture
async def topics(kafka_bootstrap_servers: str, database: Any) -> AsyncIterator[Topics]:
    producer = AIOKafkaProducer(bootstrap_servers=kafka_bootstrap_servers, acks="all", linger_ms=5)
    await producer.start()
    log = KafkaLog(kafka_bootstrap_servers, timeout_ms=5_000)
    # What other tests have published is nobody's concern here, and there may be a million outcomes of it.
    ends = {f"{topic}:{number}": end for (topic, number), (_, end) in (await log.bounds(TOPICS)).items()}
    await database["positions"].insert_many([{"_id": key, "offset": end - 1} for key, end in ends.items()])
    yield Topics(producer, log, MongoPositions(database))
    await producer.stop()


@dataclass
class Shelf:
    """The books as they lie in MongoDB; 0 is absent, as in a recount."""

    database: Any
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    async def totals(self, book: str) -> Counter[tuple[Line, str]]:
        found: Counter[tuple[Line, str]] = Counter()
        async for row in self._rows(TOTALS, (kind_range(book, kind) for kind in Kind)):
            line = line_of_total(row.pop("_id"))
            found.update({(line, metric): count for metric, count in row.items() if count})
        return found

    async def quarters(self, book: str) -> Counter[tuple[Line, str, int]]:
        found: Counter[tuple[Line, str, int]] = Counter()
        async for row in self._rows(DAYS, (days_range(book, kind, 0, EVER - 1) for kind in Kind)):
            line, day = line_and_time(row.pop("_id"))
            for metric, buckets in row.items():
                for bucket, count in buckets.items():
                    if count:
                        found[line, metric, day * QUARTERS_A_DAY + int(bucket)] += count
        return found

    async def minutes(self, book: str) -> Counter[tuple[Line, str, int]]:
        """Those that are kept for sure: MongoDB removes old ones when it likes."""
        found: Counter[tuple[Line, str, int]] = Counter()
        async for row in self._rows(HOURS, (hours_range(book, kind, 0, EVER - 1) for kind in Kind)):
            line, hour = line_and_time(row.pop("_id"))
            assert row.pop("at") == datetime.fromtimestamp(hour * 3600, UTC)
            for metric, buckets in row.items():
                for bucket, count in buckets.items():
                    if count and self._is_kept(minute := hour * 60 + int(bucket)):
                        found[line, metric, minute] += count
        return found

    async def book_of(self, campaign: str) -> str:
        row = await self.database[NUMBERS].find_one({"_id": campaign})
        assert row is not None, f"{campaign} has no numbers"
        return book_of(campaign, row["version"])

    async def equals(self, campaign: str, expected: Book) -> None:
        """Every number of the campaign is that of the recount."""
        book = await self.book_of(campaign)
        _same(f"totals of {book}", await self.totals(book), expected.totals)
        by_quarter: Counter[tuple[Line, str, int]] = Counter()
        for (line, metric, minute), count in expected.minutes.items():
            by_quarter[line, metric, minute // QUARTER_MINUTES] += count
        _same(f"quarters of {book}", await self.quarters(book), by_quarter)
        kept = {key: count for key, count in expected.minutes.items() if self._is_kept(key[2])}
        _same(f"minutes of {book}", await self.minutes(book), kept)

    def _is_kept(self, minute: int) -> bool:
        return minute * 60 > (self.now - timedelta(days=2.5)).timestamp()

    async def _rows(self, name: str, ranges: Iterable[tuple[str, str]]) -> AsyncIterator[dict[str, Any]]:
        for start, stop in ranges:
            async for row in self.database[name].find({"_id": {"$gte": start, "$lt": stop}}):
                yield row


def _same(what: str, found: Any, expected: Any) -> None:
    differences = {
        key: (found.get(key, 0), expected.get(key, 0))
        for key in {*found, *expected}
        if found.get(key, 0) != expected.get(key, 0)
    }
    assert not differences, f"{what}, found and expected: {dict(list(differences.items())[:10])}"


@pytest.fixture
def shelf_of() -> type[Shelf]:
    return Shelf


@pytest.fixture
def recounted() -> Callable[[Sequence[Any]], dict[str, Book]]:
    """Campaign → what the messages that count add up to."""

    def recount(messages: Sequence[Any]) -> dict[str, Book]:
        recount = Recount(WEEK // timedelta(milliseconds=1))
        for fact in _facts(messages, lambda topic: topic == "engagement-events"):
            recount.add(fact)
        recount.nobody_else()
        for fact in _facts(messages, lambda topic: topic != "engagement-events"):
            recount.add(fact)
        return recount.books()

    return recount


def _facts(messages: Iterable[Any], wanted: Callable[[str], bool]) -> Iterator[Any]:
    for message in messages:
        if message.counts and wanted(message.topic) and (fact := read_fact(message.body)) is not None:
            yield fact
