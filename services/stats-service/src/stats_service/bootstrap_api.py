"""Puts the API process together."""

import asyncio
from collections.abc import Mapping
from functools import partial

from contracts.tracking import TrackingKeys
from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.process import Part, api_part, run_process

from stats_service.application.follow_link import follow_link
from stats_service.application.get_statistics import get_statistics
from stats_service.bootstrap import SERVICE, Process, Wiring
from stats_service.domain.numbers import Overview, Performance
from stats_service.entrypoints.api.statistics import EXAMPLES, statistics_router
from stats_service.entrypoints.api.tracking import tracking_router
from stats_service.entrypoints.errors import STATUSES


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


def run_api() -> None:
    """Serve the routes until a signal comes."""
    process = Process()

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wiring()
        return {"api": api_part(build_api(wiring), process.settings), "clicks": wiring.clicks.run}

    run_process("stats-api", process.settings, prepare=prepare, ready=process.ready, close=process.close)
