"""Puts together what the API and the aggregator share. Only the bootstrap modules wire.

Each process has a module of its own, so that it imports nothing that only another one needs.
"""

import stamina
from service_kit.mongo.client import is_unavailable
from service_kit.settings import load_settings
from service_kit.wiring import ServiceWiring

from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.adapters.mongo_positions import MongoPositions
from stats_service.application.keep_clicks import KeepClicks
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


class Process:
    """What the API and the aggregator share: a wiring made in the event loop, and its end."""

    def __init__(self) -> None:
        self.settings = load_settings(Settings)
        self._wiring: Wiring | None = None

    async def wiring(self) -> Wiring:
        """The wiring, its indexes made."""
        self._wiring = Wiring(self.settings)
        await self._wiring.prepare()
        return self._wiring

    async def ready(self) -> bool:
        """The database answers."""
        return self._wiring is not None and await self._wiring.database_answers()

    async def close(self) -> None:
        """Let go of the connections."""
        if self._wiring is not None:
            await self._wiring.close()
