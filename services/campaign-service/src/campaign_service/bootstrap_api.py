"""Puts the API process together."""

from collections.abc import Mapping

from service_kit.clock import Clock
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.client import Client, Database
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.process import Part, api_part, run_process
from service_kit.settings import ServiceSettings, load_settings
from service_kit.wired_process import WiredProcess
from service_kit.wiring import ServiceWiring

from campaign_service.adapters.http_preflight import HttpPreflight
from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.adapters.mongo_templates import MongoTemplates
from campaign_service.application.parts import ApiParts
from campaign_service.application.ports import Preflight
from campaign_service.bootstrap import PATIENTLY, SERVICE
from campaign_service.entrypoints.api.app import create_app
from campaign_service.settings import ApiSettings


class ApiWiring(ServiceWiring):
    """The connections of the API process. Make it inside the event loop."""

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


def run_api() -> None:
    """The HTTP API, until a signal comes."""
    settings = load_settings(ApiSettings)
    process = WiredProcess(lambda: ApiWiring(settings))

    async def prepare() -> Mapping[str, Part]:
        app = create_app(await process.wire().api_parts(settings), settings)
        return {"api": api_part(app, settings)}

    run_process("campaign-api", settings, prepare=prepare, ready=process.ready, close=process.close)
