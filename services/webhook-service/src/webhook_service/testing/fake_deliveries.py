"""The Deliveries port in memory, for tests only; one suite holds it to what MongoDB does."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.ids import new_ulid
from service_kit.errors import AlreadyHandled
from service_kit.ports import Tx
from service_kit.testing.fakes import staged

from webhook_service.domain.delivery import Blocker, Claim, Delivery, Due, Ended, Lane, Outcome, Status


@dataclass
class _Row:
    delivery: Delivery
    due_at: datetime | None
    token: str | None = None
    epoch: int = 0
    forgiven: int = 0
    lapses_at: datetime | None = None


class InMemoryDeliveries:
    """The Deliveries port."""

    def __init__(self) -> None:
        self.rows: dict[str, _Row] = {}

    async def add(self, tx: Tx, deliveries: Sequence[Delivery]) -> None:
        """Stage new deliveries."""
        if any(item.key in self.rows for item in deliveries):
            raise AlreadyHandled(deliveries[0].event_id)
        rows = {item.key: _Row(item, item.next_attempt_at) for item in deliveries}
        staged(tx, lambda: self.rows.update(rows))

    async def ensure(self, deliveries: Sequence[Delivery]) -> None:
        """Those that are not there."""
        for item in deliveries:
            self.rows.setdefault(item.key, _Row(item, item.next_attempt_at))

    async def page(
        self, endpoint_id: str, *, statuses: Sequence[Status], event_type: str | None, before: str | None,
        limit: int,
    ) -> list[Delivery]:  # fmt: skip
        """Newest first."""
        found = [
            item
            for item in (row.delivery for row in self.rows.values())
            if item.endpoint_id == endpoint_id
            and (not statuses or item.status in statuses)
            and event_type in (None, item.event_type)
            and (before is None or item.id < before)
        ]
        return sorted(found, key=lambda item: item.id, reverse=True)[:limit]

    async def find(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """The delivery to this endpoint."""
        found = (row.delivery for row in self.rows.values() if row.delivery.id == delivery_id)
        return next((item for item in found if item.endpoint_id == endpoint_id), None)

    def _due(self, now: datetime) -> list[tuple[datetime, int, str]]:
        return sorted(
            (row.due_at, row.delivery.sequence, key)
            for key, row in self.rows.items()
            if row.delivery.status is Status.PENDING and row.due_at is not None and row.due_at <= now
        )

    async def due(
        self, *, now: datetime, limit: int, except_endpoints: Sequence[str], since: datetime | None = None
    ) -> list[Due]:
        """Longest due first."""
        found = [self.rows[key].delivery for at, _, key in self._due(now) if since is None or at >= since]
        dues = [Due(item.key, item.endpoint_id, item.campaign_id, item.sequence) for item in found]
        return [due for due in dues if due.endpoint_id not in except_endpoints][:limit]

    async def claim(self, keys: Sequence[str], *, now: datetime, until: datetime) -> list[Claim]:
        """Take those still due."""
        claims, token = [], new_ulid()
        for _, _, key in self._due(now):
            if key in keys:
                row = self.rows[key]
                row.due_at, row.token, row.epoch = until, token, row.epoch + 1
                item = row.delivery
                claims.append(
                    Claim(key, item.org, item.endpoint_id, item.event_id, item.event_type, item.campaign_id,
                          item.sequence, item.body, row.epoch, token, until,
                          len(item.attempts) - row.forgiven, row.lapses_at, item.created_at)
                )  # fmt: skip
        return claims

    def _mine(self, claim: Claim) -> _Row | None:
        row = self.rows[claim.key]
        return row if row.token == claim.token and row.delivery.status is Status.PENDING else None

    async def record(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """Which claims still held."""
        return [self._record(item) for item in outcomes]

    def _record(self, outcome: Outcome) -> bool:
        row = self._mine(outcome.claim)
        if row is None:
            return False
        row.delivery = replace(
            row.delivery,
            status=outcome.status,
            attempts=(*row.delivery.attempts, outcome.attempt),
            next_attempt_at=outcome.next_attempt_at,
            response_body=outcome.response_body,
        )
        row.due_at, row.token, row.epoch = outcome.next_attempt_at, None, row.epoch + 1
        row.lapses_at = outcome.lapses_at
        return True

    async def settle(self, claims: Sequence[Claim], status: Status) -> int:
        """How many claims still held."""
        rows = [row for row in map(self._mine, claims) if row is not None]
        for row in rows:
            self._settle(row, status)
            row.epoch += 1
        return len(rows)

    async def give_back(self, claims: Sequence[Claim], *, due_at: datetime) -> None:
        """Those whose claims still held."""
        for row in map(self._mine, claims):
            if row is not None:
                row.token, row.due_at = None, due_at

    async def postpone(self, keys: Sequence[str], *, now: datetime, until: datetime) -> None:
        """Those that are due."""
        for _, _, key in self._due(now):
            if key in keys:
                self.rows[key].due_at, self.rows[key].token = until, None

    def _waiting(self) -> list[_Row]:
        rows = self.rows.values()
        return [row for row in rows if row.delivery.status is Status.PENDING and row.token is None]

    async def release(self, endpoint_id: str, *, now: datetime) -> None:
        """Those that wait too long."""
        await self.wake([row.delivery.key for row in self.rows.values()
                         if row.delivery.endpoint_id == endpoint_id], now=now)  # fmt: skip

    async def wake(self, keys: Sequence[str], *, now: datetime) -> None:
        """Those that wait too long."""
        for row in self._waiting():
            planned, due_at = row.delivery.next_attempt_at, row.due_at
            if row.delivery.key in keys and planned and due_at and planned <= now < due_at:
                row.due_at = now

    async def blockers(self, lanes: Collection[Lane], *, now: datetime) -> dict[Lane, Blocker]:
        """The first of each lane."""
        found: dict[Lane, Blocker] = {}
        for row in self.rows.values():
            item, lane = row.delivery, (row.delivery.endpoint_id, row.delivery.campaign_id)
            if item.status is not Status.PENDING or lane not in lanes or row.due_at is None:
                continue
            taken = row.token is not None and row.due_at > now
            if taken or row.lapses_at is None or row.lapses_at > now:
                blocker = Blocker(item.key, item.sequence, row.due_at, row.lapses_at, taken)
                if lane not in found or blocker.before(found[lane]):
                    found[lane] = blocker
        return found

    async def settle_all(self, endpoint_id: str, status: Status) -> int:
        """How many."""
        waiting = {Status.PENDING} if status is Status.PARKED else {Status.PENDING, Status.PARKED}
        rows = [
            row
            for row in self.rows.values()
            if row.delivery.endpoint_id == endpoint_id
            and row.delivery.status in waiting
            and row.token is None
        ]
        for row in rows:
            self._settle(row, status)
        return len(rows)

    def _settle(self, row: _Row, status: Status) -> None:
        row.delivery = replace(row.delivery, status=status, next_attempt_at=None)
        row.due_at, row.token = None, None

    async def retry(self, endpoint_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Whether it was there and free."""
        for row in self.rows.values():
            item = row.delivery
            free = row.token is None or (row.due_at is not None and row.due_at <= now)
            if free and (item.endpoint_id, item.id) == (endpoint_id, delivery_id):
                self._free(row, now)
                return True
        return False

    async def ended(
        self, endpoint_id: str, *, since: datetime, until: datetime, after: str | None, limit: int
    ) -> list[Ended]:
        """Oldest first."""
        found = sorted((row.delivery for row in self.rows.values()), key=lambda item: item.id)
        return [
            Ended(item.id, Due(item.key, item.endpoint_id, item.campaign_id, item.sequence))
            for item in found
            if item.endpoint_id == endpoint_id
            and item.status in (Status.FAILED, Status.PARKED)
            and since <= item.created_at < until
            and (after is None or item.id > after)
        ][:limit]

    async def revive(self, keys: Sequence[str], *, now: datetime, due_at: datetime | None = None) -> int:
        """How many."""
        rows = [self.rows[key] for key in keys]
        ended = [row for row in rows if row.delivery.status in (Status.FAILED, Status.PARKED)]
        for row in ended:
            self._free(row, now)
            row.due_at = due_at or now
            row.forgiven = len(row.delivery.attempts)
        return len(ended)

    def _free(self, row: _Row, now: datetime) -> None:
        row.delivery = replace(row.delivery, status=Status.PENDING, next_attempt_at=now)
        row.due_at, row.epoch, row.lapses_at, row.token = now, row.epoch + 1, None, None

    async def count_due(self, *, now: datetime, limit: int) -> int:
        """How many are due."""
        return min(limit, len(self._due(now)))
