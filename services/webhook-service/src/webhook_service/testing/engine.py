"""The engine on ports in memory and a clock that the test moves: for tests only."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from service_kit.testing.fakes import FixedClock, InMemoryOutbox, InMemoryTransactions

from webhook_service.application.attempt_delivery import AttemptDelivery, Sent, Taken
from webhook_service.application.disable_endpoint import DisableEndpoint
from webhook_service.application.record_outcomes import Recorded, RecordOutcomes
from webhook_service.application.take_deliveries import TakeDeliveries, Taking
from webhook_service.domain.delivery import Answer, Delivery, Due
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.health import BreakerRules
from webhook_service.testing.fake_deliveries import InMemoryDeliveries
from webhook_service.testing.fakes import Allowance, InMemoryEndpoints

RULES = BreakerRules(failures=5, first_seconds=5, most_seconds=600, disable_after=timedelta(days=5))
LEASE = timedelta(seconds=45)
OK = Answer(200, None, None, "ok", 12)


class OpenSecrets:
    """Seals nothing."""

    def seal(self, plain: str, *, owner: str) -> str:
        """As it is."""
        return plain

    def open(self, sealed: str, *, owner: str) -> str:
        """As it is."""
        return sealed


class ScriptedSender:
    """Answers with what the test says, and keeps the message ids."""

    def __init__(self) -> None:
        self.answer = OK
        self.message_ids: list[str] = []
        self.meanwhile: Callable[[], Awaitable[Any]] | None = None

    async def send(
        self, url: str, *, secrets: Sequence[str], message_id: str, at: datetime, body: bytes,
        headers: Mapping[str, str],
    ) -> Answer:  # fmt: skip
        """What the test says."""
        self.message_ids.append(message_id)
        if self.meanwhile is not None:
            await self.meanwhile()
        return self.answer


class Engine:
    """One deliverer's use cases. Engines may share `endpoints` and `deliveries`, as processes do."""

    def __init__(
        self, now: datetime, *, schedule: tuple[float, ...] = (5.0, 60.0), beside: "Engine | None" = None
    ) -> None:
        self.clock: FixedClock = beside.clock if beside else FixedClock(now)
        self.endpoints: InMemoryEndpoints = beside.endpoints if beside else InMemoryEndpoints()
        self.deliveries: InMemoryDeliveries = beside.deliveries if beside else InMemoryDeliveries()
        self.outbox: InMemoryOutbox = beside.outbox if beside else InMemoryOutbox()
        self.sender, self.allowance = ScriptedSender(), Allowance()
        transactions = InMemoryTransactions()
        disable = DisableEndpoint(transactions, self.endpoints, self.outbox, self.clock)
        self.take = TakeDeliveries(self.endpoints, self.deliveries, self.allowance, self.clock, LEASE)
        self.attempt = AttemptDelivery(
            OpenSecrets(), self.sender, self.clock, schedule, lambda: 0.0, timedelta(hours=1)
        )
        self.record = RecordOutcomes(self.endpoints, self.deliveries, disable, self.clock, RULES)

    async def store(self, endpoint: Endpoint, *items: Delivery) -> None:
        """Put them there."""
        await InMemoryTransactions().run(lambda tx: self.endpoints.add(tx, endpoint))
        await InMemoryTransactions().run(lambda tx: self.deliveries.add(tx, items))

    async def due(self) -> list[Due]:
        """What is due now."""
        return await self.deliveries.due(now=self.clock.now(), limit=1000, except_endpoints=())

    async def taken(self) -> Taking:
        """Take what is due."""
        return await self.take(await self.due())

    async def send(self, *taken: Taken) -> Recorded:
        """Attempt them, in this order, record that, and note what it says."""
        sent: list[Sent] = [await self.attempt(item) for item in taken]
        recorded = await self.record(sent)
        await self.record.note(sent)
        return recorded

    async def round(self) -> list[str]:
        """Take what is due, send and record it; the events that were sent."""
        before = len(self.sender.message_ids)
        sends = (await self.taken()).sends
        if sends:
            await self.send(*sends)
        return self.sender.message_ids[before:]

    def endpoint(self, endpoint_id: str) -> Endpoint:
        """As it is stored."""
        return self.endpoints.rows[endpoint_id]

    def stored(self, delivery: Delivery) -> Delivery:
        """As it is stored."""
        return self.deliveries.rows[delivery.key].delivery
