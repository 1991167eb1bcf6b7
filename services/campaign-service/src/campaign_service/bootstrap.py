"""The only place that wires: ports to adapters, parts to processes. Nothing connects at import."""

from collections.abc import Mapping
from functools import partial

import stamina
from service_kit.clock import Clock
from service_kit.idempotency.once import Idempotency
from service_kit.kafka.consumer import ConsumerLoop
from service_kit.mongo.client import Client, Database, is_unavailable
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.outbox.relay import Relay
from service_kit.process import Part, api_part, run_process
from service_kit.settings import ServiceSettings, load_settings
from service_kit.wiring import ServiceWiring

from campaign_service.adapters.http_preflight import HttpPreflight
from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.adapters.mongo_templates import MongoTemplates
from campaign_service.application.fire_schedules import fire_schedules
from campaign_service.application.parts import ApiParts, ConsumerParts
from campaign_service.application.ports import Preflight
from campaign_service.entrypoints.api.app import create_app
from campaign_service.entrypoints.schedules import watch_schedules
from campaign_service.entrypoints.subscriptions import subscriptions
from campaign_service.settings import ApiSettings, ConsumerSettings

SERVICE = "campaign-service"
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=3).on(
    is_unavailable
)
"""Calls until the database answers: a process does not die because a dependency starts later than it."""


class Wiring(ServiceWiring):
    """The connections of one process. Make it inside the event loop."""

    def __init__(self, settings: ServiceSettings) -> None:
        super().__init__(settings, service=SERVICE)
        self._preflight: HttpPreflight | None = None

    async def api_parts(self, settings: ApiSettings) -> ApiParts:
        """The routes' parts, the indexes made; waits for a database that starts later."""
        self._preflight = HttpPreflight(
            settings.execution_service_url,
            token=settings.internal_token.get_secret_value(),
            timeout_seconds=settings.preflight_timeout_seconds,
        )
        return await PATIENTLY(
            build_api_parts,
            client=self.client,
            database=self.database,
            idempotency=await PATIENTLY(self.idempotency),
            preflight=self._preflight,
            timeout_seconds=settings.mongo_timeout_ms / 1000,
            clock=self.clock,
        )

    async def consumer_parts(self) -> ConsumerParts:
        """The handlers' parts, the indexes made; waits for a database that starts later."""
        await PATIENTLY(self.outbox.prepare)
        campaigns = MongoCampaigns(self.database)
        await PATIENTLY(campaigns.prepare)
        return ConsumerParts(
            campaigns=campaigns,
            templates=MongoTemplates(self.database),
            transactions=self.transactions,
            inbox=await PATIENTLY(self.inbox, "campaign-consumer"),
            outbox=self.outbox,
            clock=self.clock,
        )

    async def outbox_relay(self) -> Relay:
        """The relay; waits for a database that starts later."""
        return await PATIENTLY(self.relay, "campaign-relay")

    async def close(self) -> None:
        """Let go of the connections."""
        if self._preflight is not None:
            await self._preflight.close()
        await super().close()


async def build_api_parts(
    *,
    client: Client,
    database: Database,
    idempotency: Idempotency,
    preflight: Preflight,
    timeout_seconds: float,
    clock: Clock,
) -> ApiParts:
    """The routes' parts on `database`, the indexes made. Raises PyMongoError."""
    campaigns, templates = MongoCampaigns(database), MongoTemplates(database)
    outbox = MongoOutbox(database, clock=clock)
    await campaigns.prepare()
    await templates.prepare()
    await outbox.prepare()
    return ApiParts(
        campaigns=campaigns,
        templates=templates,
        preflight=preflight,
        transactions=MongoTransactions(client, timeout=timeout_seconds),
        idempotency=idempotency,
        outbox=outbox,
        clock=clock,
    )


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
    """The event handlers and the schedules, until a signal comes."""
    settings = load_settings(ConsumerSettings)
    process = _Process()

    async def prepare() -> Mapping[str, Part]:
        process.wiring = wiring = Wiring(settings)
        parts = await wiring.consumer_parts()
        process.loop = wiring.consumer(subscriptions(parts), group="campaign-consumer")
        fire = partial(
            fire_schedules,
            campaigns=parts.campaigns,
            templates=parts.templates,
            transactions=parts.transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        schedules = partial(watch_schedules, fire, poll_seconds=settings.schedule_poll_seconds)
        return {"consumer": process.loop.run, "schedules": schedules}

    run_process("campaign-consumer", settings, prepare=prepare, ready=process.ready, close=process.close)
