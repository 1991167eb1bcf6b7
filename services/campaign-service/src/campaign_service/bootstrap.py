"""The only place that wires: ports to adapters, for each process. Nothing connects at import.

The processes themselves, which put these parts under an HTTP server or a consumer loop, are in
`entrypoints/processes.py`.
"""

from dataclasses import dataclass

import stamina
from service_kit.clock import Clock, SystemClock
from service_kit.mongo.client import Client, Database, is_unavailable
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.outbox.relay import Relay
from service_kit.ports import Inbox, Outbox, Transactions
from service_kit.settings import ServiceSettings
from service_kit.wiring import ServiceWiring

from campaign_service.adapters.http_preflight import HttpPreflight
from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.adapters.mongo_templates import MongoTemplates
from campaign_service.application.ports import Campaigns, Preflight, Templates
from campaign_service.settings import ApiSettings

SERVICE = "campaign-service"
PATIENTLY = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=3).on(
    is_unavailable
)
"""Calls until the database answers: a process does not die because a dependency starts later than it."""


@dataclass(frozen=True, slots=True)
class ApiParts:
    """What the routes work with."""

    campaigns: Campaigns
    templates: Templates
    preflight: Preflight
    transactions: Transactions
    outbox: Outbox
    clock: Clock


@dataclass(frozen=True, slots=True)
class ConsumerParts:
    """What the event handlers work with."""

    campaigns: Campaigns
    transactions: Transactions
    inbox: Inbox
    outbox: Outbox
    clock: Clock


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
            preflight=self._preflight,
            timeout_seconds=settings.mongo_timeout_ms / 1000,
        )

    async def consumer_parts(self) -> ConsumerParts:
        """The handlers' parts, the indexes made; waits for a database that starts later."""
        await PATIENTLY(self.outbox.prepare)
        return ConsumerParts(
            campaigns=MongoCampaigns(self.database),
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
    *, client: Client, database: Database, preflight: Preflight, timeout_seconds: float
) -> ApiParts:
    """The routes' parts on `database`, the indexes made. Raises PyMongoError."""
    clock = SystemClock()
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
        outbox=outbox,
        clock=clock,
    )
