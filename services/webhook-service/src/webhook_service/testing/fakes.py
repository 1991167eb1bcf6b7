"""In-memory stand-ins for this service's ports, for tests only; one suite holds them to what MongoDB does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from service_kit.errors import AlreadyHandled
from service_kit.ports import Tx
from service_kit.testing.fakes import staged

from webhook_service.domain.delivery import Attempt, Claim, Delivery, Due, Status
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.errors import VersionConflict
from webhook_service.domain.retry import Verdict


class InMemoryEndpoints:
    """The Endpoints port."""

    def __init__(self) -> None:
        self.rows: dict[str, Endpoint] = {}

    async def add(self, tx: Tx, endpoint: Endpoint) -> None:
        """Stage a new endpoint."""
        staged(tx, lambda: self.rows.update({endpoint.id: endpoint}))

    async def save(self, tx: Tx, endpoint: Endpoint, *, expected_version: int, enabled: bool) -> None:
        """Stage what its owner decides."""
        stored = self.rows.get(endpoint.id)
        if stored is None or stored.version != expected_version:
            raise VersionConflict
        kept = replace(
            endpoint,
            disabled_reason=None if enabled else stored.disabled_reason,
            failing_since=None if enabled else stored.failing_since,
            last_success_at=stored.last_success_at,
        )
        staged(tx, lambda: self.rows.update({endpoint.id: kept}))

    async def find(self, org: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint of this organisation."""
        row = self.rows.get(endpoint_id)
        return row if row is not None and row.org == org else None

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Endpoint], int]:
        """Newest first, and the count."""
        found = sorted((row for row in self.rows.values() if row.org == org), key=lambda row: row.id)[::-1]
        return found[skip : skip + limit], len(found)

    async def active(self, tx: Tx, org: str) -> list[Endpoint]:
        """Those switched on."""
        return [row for row in self.rows.values() if row.org == org and row.active]

    async def disable(self, org: str, endpoint_id: str, *, reason: DisabledReason, now: datetime) -> bool:
        """Whether it was on."""
        row = await self.find(org, endpoint_id)
        if row is None or not row.active:
            return False
        self.rows[endpoint_id] = replace(
            row, active=False, disabled_reason=reason, updated_at=now, version=row.version + 1
        )
        return True

    async def remove(self, org: str, endpoint_id: str) -> bool:
        """Whether it was there."""
        return await self.find(org, endpoint_id) is not None and bool(self.rows.pop(endpoint_id))


@dataclass
class _Row:
    delivery: Delivery
    due_at: datetime | None
    claimed: bool = False
    epoch: int = 0
    forgiven: int = 0


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

    async def due(self, *, now: datetime, limit: int, except_endpoints: Sequence[str]) -> list[Due]:
        """Longest due first."""
        found = (self.rows[key].delivery for _, _, key in self._due(now))
        dues = [Due(item.key, item.endpoint_id, item.campaign_id) for item in found]
        return [due for due in dues if due.endpoint_id not in except_endpoints][:limit]

    async def claim(self, keys: Sequence[str], *, now: datetime, until: datetime) -> list[Claim]:
        """Take those still due."""
        claims = []
        for _, _, key in self._due(now):
            if key in keys:
                row = self.rows[key]
                row.due_at, row.claimed, row.epoch = until, True, row.epoch + 1
                item = row.delivery
                claims.append(
                    Claim(key, item.org, item.endpoint_id, item.event_id, item.event_type, item.campaign_id,
                          item.body, row.epoch, len(item.attempts) - row.forgiven, item.created_at)
                )  # fmt: skip
        return claims

    def _mine(self, claim: Claim) -> _Row | None:
        row = self.rows[claim.key]
        return row if row.epoch == claim.epoch and row.delivery.status is Status.PENDING else None

    async def record(
        self, claim: Claim, attempt: Attempt, verdict: Verdict, response_body: str | None
    ) -> bool:
        """Whether the claim still held."""
        row = self._mine(claim)
        if row is None:
            return False
        row.delivery = replace(
            row.delivery,
            status=verdict.status,
            attempts=(*row.delivery.attempts, attempt),
            next_attempt_at=verdict.next_attempt_at,
            response_body=response_body,
        )
        row.due_at, row.claimed, row.epoch = verdict.next_attempt_at, False, row.epoch + 1
        return True

    async def settle(self, claim: Claim, status: Status) -> bool:
        """Whether the claim still held."""
        row = self._mine(claim)
        if row is None:
            return False
        self._settle(row, status)
        row.epoch += 1
        return True

    async def settle_all(self, endpoint_id: str, status: Status) -> int:
        """How many."""
        waiting = {Status.PENDING} if status is Status.PARKED else {Status.PENDING, Status.PARKED}
        rows = [
            row
            for row in self.rows.values()
            if row.delivery.endpoint_id == endpoint_id and row.delivery.status in waiting and not row.claimed
        ]
        for row in rows:
            self._settle(row, status)
        return len(rows)

    def _settle(self, row: _Row, status: Status) -> None:
        row.delivery = replace(row.delivery, status=status, next_attempt_at=None)
        row.due_at, row.claimed = None, False

    async def retry(self, endpoint_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Whether it was there and free."""
        for row in self.rows.values():
            item = row.delivery
            if (item.endpoint_id, item.id) == (endpoint_id, delivery_id) and not row.claimed:
                self._free(row, now)
                return True
        return False

    async def recover(
        self, endpoint_id: str, *, since: datetime, until: datetime, after: str | None, limit: int,
        now: datetime,
    ) -> tuple[int, str | None]:  # fmt: skip
        """How many, and where to go on."""
        found = [
            row
            for row in sorted(self.rows.values(), key=lambda row: row.delivery.id)
            if row.delivery.endpoint_id == endpoint_id
            and row.delivery.status in (Status.FAILED, Status.PARKED)
            and since <= row.delivery.created_at < until
            and (after is None or row.delivery.id > after)
        ][:limit]
        for row in found:
            self._free(row, now)
            row.forgiven = len(row.delivery.attempts)
        return len(found), found[-1].delivery.id if len(found) == limit else None

    def _free(self, row: _Row, now: datetime) -> None:
        row.delivery = replace(row.delivery, status=Status.PENDING, next_attempt_at=now)
        row.due_at, row.epoch = now, row.epoch + 1

    async def count_due(self, *, now: datetime, limit: int) -> int:
        """How many are due."""
        return min(limit, len(self._due(now)))
