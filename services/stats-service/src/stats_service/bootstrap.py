"""Puts the service together: the only place that wires."""

import asyncio
from collections.abc import Mapping
from functools import partial

import stamina
from contracts.tracking import TrackingKeys
from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.kafka.consumer import RetryPolicy
from service_kit.mongo.client import is_unavailable
from service_kit.process import Part, api_part, run_process
from service_kit.settings import load_settings
from service_kit.wiring import ServiceWiring

from stats_service.adapters.faust_source import FaustSource
from stats_service.adapters.kafka_log import KafkaLog
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.announce_statistics import announce_statistics
from stats_service.application.catch_up import CatchUp
from stats_service.application.fold_batch import fold_batch
from stats_service.application.follow_link import follow_link
from stats_service.application.get_statistics import get_statistics
from stats_service.application.keep_clicks import KeepClicks
from stats_service.application.ports import Record
from stats_service.domain.numbers import Overview, Performance
from stats_service.entrypoints.aggregator import Aggregator, Progress
from stats_service.entrypoints.api.statistics import EXAMPLES, statistics_router
from stats_service.entrypoints.api.tracking import tracking_router
from stats_service.entrypoints.errors import STATUSES
from stats_service.entrypoints.parts import announce_for_ever, catch_up_for_ever, fold_for_ever
from stats_service.entrypoints.subscriptions import TOPICS
from stats_service.metrics import CLICKS
from stats_service.settings import Settings

SERVICE = "stats-service"


class Wiring(ServiceWiring):
    """The kit's parts and this service's adapters. Make it inside the event loop."""

    settings: Settings

    def __init__(self, settings: Settings, *, database: str = SERVICE) -> None:
        super().__init__(settings, service=database)
        self.service = SERVICE
        self.settings = settings
        self.ledger = MongoLedger(self.database, clock=self.clock)
        self.positions = MongoPositions(self.database)
        self.numbers = MongoNumbers(self.database)
        self.links = MongoLinks(self.database)
        self.clicks = KeepClicks(
            transactions=self.transactions,
            outbox=self.outbox,
            waiting=settings.clicks_waiting,
            patience_seconds=settings.click_patience_seconds,
            retry_seconds=settings.consumer_retry_seconds,
            told=lambda result, count: CLICKS.labels(result=result).inc(count),
        )

    async def prepare(self) -> None:
        """Create the indexes; a database that is away is waited for."""
        async for attempt in stamina.retry_context(
            on=is_unavailable, attempts=None, timeout=None, wait_max=self.settings.consumer_retry_max_seconds
        ):
            with attempt:
                await self.ledger.prepare()
                await self.outbox.prepare()


def build_api(wiring: Wiring) -> FastAPI:
    """The HTTP routes on `wiring`."""

    async def get(campaign: str, org: str, deleted_too: bool) -> tuple[Overview, Performance]:
        return await get_statistics(
            campaign,
            org=org,
            deleted_too=deleted_too,
            campaigns=wiring.numbers,
            numbers=wiring.numbers,
            clock=wiring.clock,
            pause=asyncio.sleep,
        )

    follow = partial(
        follow_link,
        keys=TrackingKeys(wiring.settings.tracking_keys.get_secret_value()),
        links=wiring.links,
        clicks=wiring.clicks,
        clock=wiring.clock,
        pause=asyncio.sleep,
    )
    return create_api(
        title=SERVICE,
        routers=[statistics_router(get), tracking_router(follow)],
        settings=wiring.settings,
        statuses=STATUSES,
        examples=EXAMPLES,
    )


def build_aggregator(wiring: Wiring, progress: Progress) -> tuple[FaustSource, dict[str, Part]]:
    """The aggregator's source and loops on `wiring`."""
    settings, dead_letters = wiring.settings, wiring.dead_letters()
    topics_log = KafkaLog(settings.kafka_bootstrap_servers, timeout_ms=settings.kafka_request_timeout_ms)

    async def park(record: Record, reason: str) -> None:
        await dead_letters.park(record, consumer=SERVICE, reason=reason)

    aggregator = Aggregator(
        partial(
            fold_batch, transactions=wiring.transactions, positions=wiring.positions, ledger=wiring.ledger
        ),
        positions=wiring.positions,
        topics_log=topics_log,
        park=park,
        retry=RetryPolicy(
            first_seconds=settings.consumer_retry_seconds,
            most_seconds=settings.consumer_retry_max_seconds,
            max_attempts=settings.consumer_max_attempts,
        ),
        progress=progress,
    )
    source = FaustSource(
        TOPICS,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=SERVICE,
        waiting=settings.source_waiting,
        retry_seconds=settings.consumer_retry_seconds,
    )
    catch_up = CatchUp(
        TOPICS,
        log=topics_log,
        positions=wiring.positions,
        transactions=wiring.transactions,
        fill=aggregator.fill,
    )
    announce = partial(
        announce_statistics,
        transactions=wiring.transactions,
        announcements=wiring.numbers,
        prices=wiring.numbers,
        outbox=wiring.outbox,
        clock=wiring.clock,
        every_seconds=settings.announce_seconds,
        limit=settings.announce_limit,
    )
    return source, {
        "faust": source.run,
        "fold": lambda: fold_for_ever(source, aggregator, most=settings.fold_batch),
        "catch-up": lambda: catch_up_for_ever(
            catch_up.look,
            silence=source.silence,
            every_seconds=settings.catch_up_seconds,
            silent_seconds=settings.source_silent_seconds,
            progress=progress,
        ),
        "announce": lambda: announce_for_ever(
            announce,
            every_seconds=settings.announce_poll_seconds,
            retry_seconds=settings.consumer_retry_seconds,
        ),
    }


class _Process:
    """What the three processes share: a wiring made in the event loop, and its end."""

    def __init__(self) -> None:
        self.settings = load_settings(Settings)
        self._wiring: Wiring | None = None

    async def wiring(self) -> Wiring:
        self._wiring = Wiring(self.settings)
        await self._wiring.prepare()
        return self._wiring

    async def ready(self) -> bool:
        return self._wiring is not None and await self._wiring.database_answers()

    async def close(self) -> None:
        if self._wiring is not None:
            await self._wiring.close()


def run_api() -> None:
    """Serve the routes until a signal comes."""
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wiring()
        return {"api": api_part(build_api(wiring), process.settings), "clicks": wiring.clicks.run}

    run_process("stats-api", process.settings, prepare=prepare, ready=process.ready, close=process.close)


def run_relay() -> None:
    """Relay the outbox until a signal comes."""
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        relay = await (await process.wiring()).relay("stats-relay")
        return {"relay": relay.run}

    run_process("stats-relay", process.settings, prepare=prepare, ready=process.ready, close=process.close)


def run_aggregator() -> None:
    """Fold events and announce statistics until a signal comes."""
    process, progress = _Process(), Progress()
    source: FaustSource | None = None

    async def prepare() -> Mapping[str, Part]:
        nonlocal source
        source, parts = build_aggregator(await process.wiring(), progress)
        return parts

    async def ready() -> bool:
        return source is not None and source.started.is_set() and await process.ready()

    async def live() -> bool:
        return source is None or progress.within(process.settings.live_seconds)

    run_process(
        "stats-aggregator", process.settings, prepare=prepare, ready=ready, live=live, close=process.close
    )
