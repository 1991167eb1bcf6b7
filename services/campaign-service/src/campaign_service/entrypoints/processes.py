"""The three processes of campaign-service: parts from bootstrap, under a server or a loop."""

from collections.abc import Mapping

from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, api_part, run_process
from service_kit.settings import ServiceSettings, load_settings

from campaign_service.bootstrap import SERVICE, ApiParts, Wiring
from campaign_service.entrypoints.api import campaigns, templates
from campaign_service.entrypoints.errors import STATUSES
from campaign_service.entrypoints.subscriptions import subscriptions
from campaign_service.settings import ApiSettings


def create_app(parts: ApiParts, settings: ServiceSettings) -> FastAPI:
    """The HTTP API on `parts`."""
    app = create_api(
        title=SERVICE,
        routers=[campaigns.router, templates.router],
        settings=settings,
        statuses=STATUSES,
    )
    app.state.parts = parts
    return app


class _Process:
    """What the three have in common: wiring that is made inside the event loop, readiness, the end."""

    def __init__(self) -> None:
        self.wiring: Wiring | None = None
        self.loop: ConsumerLoop | None = None

    async def ready(self) -> bool:
        consuming = self.loop is None or self.loop.ready.is_set()
        return self.wiring is not None and consuming and await self.wiring.database_answers()

    async def close(self) -> None:
        if self.wiring is not None:
            await self.wiring.close()


def run_api() -> None:
    """The HTTP API, until a signal comes."""
    settings = load_settings(ApiSettings)
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        process.wiring = wiring = Wiring(settings)
        app = create_app(await wiring.api_parts(settings), settings)
        return {"api": api_part(app, settings)}

    run_process("campaign-api", settings, prepare=prepare, ready=process.ready, close=process.close)


def run_relay() -> None:
    """The outbox relay, until a signal comes."""
    settings = load_settings(ServiceSettings)
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        process.wiring = wiring = Wiring(settings)
        return {"relay": (await wiring.outbox_relay()).run}

    run_process("campaign-relay", settings, prepare=prepare, ready=process.ready, close=process.close)


def run_consumer() -> None:
    """The event handlers, until a signal comes."""
    settings = load_settings(ServiceSettings)
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        process.wiring = wiring = Wiring(settings)
        handlers = subscriptions(await wiring.consumer_parts())
        process.loop = wiring.consumer(handlers, group="campaign-consumer")
        return {"consumer": process.loop.run}

    run_process("campaign-consumer", settings, prepare=prepare, ready=process.ready, close=process.close)
