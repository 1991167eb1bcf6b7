"""The Deliveries port as its conformance suites use it: for tests only."""

from datetime import datetime, timedelta
from typing import Any

from webhook_service.application.ports import Deliveries
from webhook_service.domain.delivery import Attempt, Claim, Delivery, Outcome, Status


class Store:
    """The port, and how to put deliveries into it."""

    def __init__(self, deliveries: Deliveries, transactions: Any, now: datetime) -> None:
        self.deliveries, self.transactions, self.now = deliveries, transactions, now

    async def put(self, *items: Delivery) -> None:
        """Add them."""
        await self.transactions.run(lambda tx: self.deliveries.add(tx, items))

    async def take(self, *items: Delivery, later: float = 0) -> list[Claim]:
        """Claim them, so many seconds after the beginning, for 45 s."""
        now = self.now + timedelta(seconds=later)
        return await self.deliveries.claim(
            [item.key for item in items], now=now, until=now + timedelta(seconds=45)
        )

    async def due(self, *, later: float = 0, limit: int = 100, without: tuple[str, ...] = ()) -> list[str]:
        """The keys of what is due then."""
        now = self.now + timedelta(seconds=later)
        return [
            item.key for item in await self.deliveries.due(now=now, limit=limit, except_endpoints=without)
        ]

    async def record(self, claim: Claim, status: Status, *, later: float | None = None) -> bool:
        """Record an attempt, after which it stands so and waits until then; it lapses an hour later."""
        again = None if later is None else self.now + timedelta(seconds=later)
        attempt = Attempt(self.now, 500 if again else 200, 3, "answered 500" if again else None)
        lapses = again and again + timedelta(hours=1)
        (stored,) = await self.deliveries.record([Outcome(claim, attempt, status, again, lapses, "text")])
        return stored

    async def one(self, endpoint_id: str) -> Delivery:
        """The only one of the endpoint."""
        (found,) = await self.deliveries.page(
            endpoint_id, statuses=(), event_type=None, before=None, limit=10
        )
        return found
