"""The consumer's use case and deliverers on a real database and real HTTP, in one process: for tests only."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from service_kit.clock import SystemClock
from service_kit.inbox.mongo_inbox import MongoInbox
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.ports import Transactions
from service_kit.testing.waiting import eventually

from webhook_service.adapters.http_client import HttpClient, trusting_the_system
from webhook_service.adapters.http_sender import HttpSender
from webhook_service.adapters.mongo_deliveries import MongoDeliveries
from webhook_service.adapters.mongo_endpoints import MongoEndpoints
from webhook_service.adapters.targets import NetworkTargets
from webhook_service.application.attempt_delivery import AttemptDelivery
from webhook_service.application.disable_endpoint import DisableEndpoint
from webhook_service.application.fan_out_event import FanOut
from webhook_service.application.ports import Deliveries
from webhook_service.application.record_outcomes import RecordOutcomes
from webhook_service.application.take_deliveries import TakeDeliveries
from webhook_service.domain.delivery import Delivery, Status
from webhook_service.domain.endpoint import Endpoint, Secret
from webhook_service.domain.health import BreakerRules
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.testing.engine import RULES, OpenSecrets
from webhook_service.testing.fakes import Allowance, HeardBell

CLOCK = SystemClock()


async def loopback(_host: str, _port: int) -> list[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


class Service:
    """Consumer's use case and deliverer on one database."""

    def __init__(
        self, client: Any, database: Any, make_endpoint: Callable[..., Endpoint], secret: str
    ) -> None:
        self.endpoints = MongoEndpoints(database)
        self.deliveries = MongoDeliveries(database, record_seconds=5)
        inbox = MongoInbox(database, consumer="c", clock=CLOCK)
        self._transactions = MongoTransactions(client, timeout=10)
        self.bell = HeardBell()
        self.outbox = MongoOutbox(database, clock=CLOCK)
        self.fan_out = FanOut(self._transactions, inbox, self.endpoints, self.deliveries, self.bell, CLOCK)
        self._make_endpoint, self._secret = make_endpoint, secret

    async def prepare(self) -> None:
        """Create the indexes."""
        await self.endpoints.prepare()
        await self.deliveries.prepare(retention_days=30)

    async def subscribe(self, url: str, **changes: Any) -> Endpoint:
        """An endpoint there."""
        endpoint = self._make_endpoint(url=url, secrets=(Secret(self._secret),), **changes)
        await self._transactions.run(lambda tx: self.endpoints.add(tx, endpoint))
        return endpoint

    def fans_out_by(self, transactions: Transactions) -> FanOut:
        """The consumer's use case with other transactions."""
        return replace(self.fan_out, transactions=transactions)

    @property
    def transactions(self) -> Transactions:
        """Real ones."""
        return self._transactions

    @asynccontextmanager
    async def delivering(
        self,
        *,
        schedule: tuple[float, ...] = (0.05, 0.05),
        timeout: float = 10,
        lease: float = 30,
        rules: BreakerRules = RULES,
        through: Callable[[Deliveries], Deliveries] = lambda port: port,
        **pace: Any,
    ) -> AsyncIterator[Deliverer]:
        """A deliverer that runs, and sees the queue `through` something."""
        numbers = {"workers": 64, "per_endpoint": 4, "poll_seconds": 0.02, "drain_seconds": 0.2}
        client = HttpClient(lookup=loopback, allow_private=True, idle=16, tls=trusting_the_system())
        sender = HttpSender(
            client, targets=NetworkTargets(allow_private=True, lookup=loopback, seconds=1), seconds=timeout
        )
        deliveries = through(self.deliveries)
        disable = DisableEndpoint(self._transactions, self.endpoints, self.outbox, CLOCK)
        deliverer = Deliverer(
            deliveries,
            TakeDeliveries(self.endpoints, deliveries, Allowance(), CLOCK, timedelta(seconds=lease)),
            AttemptDelivery(OpenSecrets(), sender, CLOCK, schedule, lambda: 0.0, timedelta(hours=1)),
            RecordOutcomes(self.endpoints, deliveries, disable, CLOCK, rules),
            clock=CLOCK,
            pace=Pace(**{**numbers, "request_seconds": 0, **pace}),
        )
        running = asyncio.create_task(deliverer.run())
        try:
            yield deliverer
        finally:
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            client.close()

    async def log(self, endpoint: Endpoint) -> list[Delivery]:
        """Its deliveries."""
        return await self.deliveries.page(endpoint.id, statuses=(), event_type=None, before=None, limit=1000)

    async def settled(self, endpoint: Endpoint, status: Status, *, seconds: float = 10) -> list[Delivery]:
        """Its deliveries, once all of them stand so."""
        return await eventually(
            lambda: self.log(endpoint),
            lambda found: bool(found) and all(item.status is status for item in found),
            seconds=seconds,
            every=0.02,
        )
