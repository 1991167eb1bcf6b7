"""Puts together what the API and the aggregator share. Only the bootstrap modules wire.

Each process has a module of its own, so that it imports nothing that only another one needs.
"""

import stamina
from service_kit.mongo.client import is_unavailable
from service_kit.wiring import ServiceWiring

from stats_service.adapters.mongo_conversions import MongoConversions
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.adapters.mongo_positions import MongoPositions
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
        self.conversions = MongoConversions(self.database)

    async def prepare(self) -> None:
        """Create the indexes; a database that is away is waited for."""
        async for attempt in stamina.retry_context(
            on=is_unavailable, attempts=None, timeout=None, wait_max=self.settings.consumer_retry_max_seconds
        ):
            with attempt:
                await self._make_indexes()

    async def _make_indexes(self) -> None:
        await self.ledger.prepare()
        await self.conversions.prepare()
        await self.outbox.prepare()
