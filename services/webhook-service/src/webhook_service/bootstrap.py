"""What the processes of this service share. Only the bootstrap modules wire; nothing connects at import.

Each process has a module of its own, so that it imports nothing that only another one needs.
"""

import stamina
from service_kit.crypto import SecretBox
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.client import is_unavailable
from service_kit.wiring import ServiceWiring

from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.adapters.mongo_endpoints import MongoEndpoints
from webhook_service.adapters.targets import NetworkTargets, SystemLookup
from webhook_service.application.ports import ApiPorts
from webhook_service.application.ports_engine import Bell
from webhook_service.settings import Settings

SERVICE = "webhook-service"


class Wiring(ServiceWiring):
    """The parts of one process. Make it inside the event loop."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings, service=SERVICE)
        self.own = settings
        self.endpoints = MongoEndpoints(self.database)
        spare = settings.webhook_lease_seconds - settings.webhook_timeout_seconds
        self.deliveries = MongoDeliveries(self.database, record_seconds=max(spare, 1))
        self.secrets = SecretBox(settings.encryption_keys.get_secret_value())
        # Sealed, for the answer to a creation holds the secret.
        self.request_keys = self.idempotency_keys(box=self.secrets)
        self.lookup = SystemLookup()
        self.targets = NetworkTargets(
            allow_private=settings.webhook_allow_private_networks,
            lookup=self.lookup,
            seconds=settings.webhook_resolve_seconds,
        )

    async def prepare(self) -> None:
        """Create the indexes, as soon as the database is there: it may start later than this process."""
        async for attempt in stamina.retry_context(
            on=is_unavailable, attempts=None, timeout=None, wait_max=2
        ):
            with attempt:
                await self.endpoints.prepare()
                await self.deliveries.prepare(retention_days=self.own.webhook_retention_days)
                await self.request_keys.prepare()

    async def close(self) -> None:
        """Let go of the connections."""
        await self.lookup.close()
        await super().close()

    def api_ports(self, bell: Bell) -> ApiPorts:
        """What the API's use cases need."""
        return ApiPorts(
            endpoints=self.endpoints,
            deliveries=self.deliveries,
            targets=self.targets,
            secrets=self.secrets,
            bell=bell,
            idempotency=Idempotency(self.request_keys, self.transactions, self.own.idempotency_wait_seconds),
            transactions=self.transactions,
            clock=self.clock,
            max_endpoints=self.own.webhook_max_per_org,
        )
