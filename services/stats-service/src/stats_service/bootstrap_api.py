"""Puts the API process together."""

import asyncio
from collections.abc import Mapping
from functools import partial

from contracts.tracking import TrackingKeys
from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.idempotency.once import Idempotency
from service_kit.process import Part, api_part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from stats_service.adapters.link_machines import LinkMachines
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_series import MongoSeries
from stats_service.application.follow_link import follow_link
from stats_service.application.get_conversion import get_conversion
from stats_service.application.get_statistics import GetStatistics
from stats_service.application.keep_clicks import KeepClicks
from stats_service.application.record_conversion import RecordConversion
from stats_service.bootstrap import SERVICE, Wiring
from stats_service.entrypoints.api.conversions import conversions_router
from stats_service.entrypoints.api.schemas import encode
from stats_service.entrypoints.api.statistics import EXAMPLES, statistics_router
from stats_service.entrypoints.api.tracking import tracking_router
from stats_service.entrypoints.errors import STATUSES
from stats_service.metrics import ANSWERS, CLICKS, FOLLOWED
from stats_service.settings import ApiSettings


class ApiWiring(Wiring):
    """What the API has beside what it shares with the aggregator: the keys of links, and clicks to keep."""

    settings: ApiSettings

    def __init__(self, settings: ApiSettings, *, database: str = SERVICE) -> None:
        super().__init__(settings, database=database)
        self.links = MongoLinks(self.database)
        self.request_keys = self.idempotency_keys()
        self.keys = TrackingKeys(settings.tracking_keys.get_secret_value())
        self.clicks = KeepClicks(
            transactions=self.transactions,
            outbox=self.outbox,
            waiting=settings.clicks_waiting,
            patience_seconds=settings.click_patience_seconds,
            retry_seconds=settings.consumer_retry_seconds,
            told=lambda result, count: CLICKS.labels(result=result).inc(count),
        )

    async def _make_indexes(self) -> None:
        await super()._make_indexes()
        await self.request_keys.prepare()


def build_api(wiring: ApiWiring) -> FastAPI:
    """The HTTP routes on `wiring`."""

    settings = wiring.settings
    get = GetStatistics(
        books=MongoSeries(wiring.database, timeout=settings.mongo_timeout_ms / 1000),
        transactions=wiring.transactions,
        clock=wiring.clock,
        pause=asyncio.sleep,
        encode=encode,
        cache_bytes=settings.answers_cached_bytes,
        told=lambda result: ANSWERS.labels(result=result).inc(),
    )
    follow = partial(
        follow_link,
        keys=wiring.keys,
        links=wiring.links,
        clicks=wiring.clicks,
        machines=LinkMachines(),
        told=lambda result: FOLLOWED.labels(result=result).inc(),
        clock=wiring.clock,
        pause=asyncio.sleep,
    )
    record = RecordConversion(
        keys=wiring.keys,
        links=wiring.links,
        campaigns=wiring.numbers,
        currencies=wiring.conversions,
        conversions=wiring.conversions,
        outbox=wiring.outbox,
        clock=wiring.clock,
        pause=asyncio.sleep,
    )
    shown = partial(get_conversion, conversions=wiring.conversions)
    return create_api(
        title=SERVICE,
        routers=[statistics_router(get), tracking_router(follow), conversions_router(record, shown)],
        settings=settings,
        statuses=STATUSES,
        examples=EXAMPLES,
        idempotency=Idempotency(
            wiring.request_keys, wiring.transactions, wiring.settings.idempotency_wait_seconds
        ),
    )


def run_api() -> None:
    """Serve the routes until a signal comes."""
    settings = load_settings(ApiSettings)
    process = WiredProcess(lambda: ApiWiring(settings))

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        return {"api": api_part(build_api(wiring), settings), "clicks": wiring.clicks.run}

    run_process("stats-api", settings, prepare=prepare, ready=process.ready, close=process.close)
