"""In-memory stand-ins for this service's ports, for tests only; one suite holds them to what MongoDB does."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from service_kit.ports import Tx
from service_kit.testing.fakes import staged

from webhook_service.domain.delivery import Due
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.errors import VersionConflict
from webhook_service.domain.health import SILENCE, Report
from webhook_service.domain.token_bucket import Permits


class InMemoryEndpoints:
    """The Endpoints port."""

    def __init__(self) -> None:
        self.rows: dict[str, Endpoint] = {}

    async def add(self, tx: Tx, endpoint: Endpoint) -> None:
        """Stage a new endpoint."""
        staged(tx, lambda: self.rows.update({endpoint.id: endpoint}))

    async def save(self, tx: Tx, endpoint: Endpoint, *, expected_version: int, afresh: bool) -> None:
        """Stage what its owner decides."""
        stored = self.rows.get(endpoint.id)
        if stored is None or stored.version != expected_version:
            raise VersionConflict
        kept = replace(
            endpoint,
            failing_since=None if afresh else stored.failing_since,
            last_failure_at=stored.last_failure_at,
            last_success_at=stored.last_success_at,
            failures=0 if afresh else stored.failures,
            pauses=0 if afresh else stored.pauses,
            paused_until=None if afresh else stored.paused_until,
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

    async def count(self, org: str, *, limit: int) -> int:
        """To the limit."""
        return min(sum(row.org == org for row in self.rows.values()), limit)

    async def of_orgs(self, orgs: Collection[str]) -> list[Endpoint]:
        """All of them."""
        return [row for row in self.rows.values() if row.org in orgs]

    async def by_ids(self, endpoint_ids: Collection[str]) -> dict[str, Endpoint]:
        """Those that are there."""
        return {key: self.rows[key] for key in endpoint_ids if key in self.rows}

    async def disable(
        self, tx: Tx, endpoint: Endpoint, *, reason: DisabledReason, now: datetime
    ) -> Endpoint | None:
        """As it is then, if it was on, and there."""
        row = self.rows.get(endpoint.id)
        if row is None or not row.active or row.url != endpoint.url:
            return None
        after = replace(row, active=False, disabled_reason=reason, updated_at=now, version=row.version + 1)
        staged(tx, lambda: self.rows.update({endpoint.id: after}))
        return after

    async def note(self, endpoint: Endpoint, report: Report, *, now: datetime) -> Endpoint | None:
        """As it is then."""
        row = self.rows.get(endpoint.id)
        if row is None or row.url != endpoint.url:
            return None
        failures = report.troubles if report.calmed else row.failures + report.troubles
        row = replace(row, failures=failures)
        if report.succeeded:
            row = replace(row, last_success_at=now, failing_since=now if report.failing else None)
        elif report.failing:
            last = row.last_failure_at or row.failing_since or now
            row = replace(row, failing_since=(last >= now - SILENCE and row.failing_since) or now)
        if report.failing:
            row = replace(row, last_failure_at=now)
        if report.probe_passed:
            row = replace(row, pauses=0, paused_until=None)
        self.rows[endpoint.id] = row
        return row

    async def heal(self, endpoint_ids: Collection[str], *, now: datetime) -> None:
        """Those that fail."""
        for key in endpoint_ids:
            row = self.rows.get(key)
            if row is not None and row.failing_since is not None:
                self.rows[key] = replace(row, failures=0, failing_since=None, last_success_at=now)

    async def pause(self, endpoint: Endpoint, *, until: datetime, again: bool) -> bool:
        """Whether it was as `endpoint` says."""
        row = self.rows.get(endpoint.id)
        if row is None or (row.url, row.paused_until) != (endpoint.url, endpoint.paused_until):
            return False
        self.rows[endpoint.id] = replace(row, paused_until=until, pauses=endpoint.pauses + again)
        return True

    async def remove(self, org: str, endpoint_id: str, *, expected_version: int) -> bool:
        """Whether it was there, in this version."""
        row = await self.find(org, endpoint_id)
        return row is not None and row.version == expected_version and bool(self.rows.pop(endpoint_id))


class HeardBell:
    """The Bell port; keeps what it was told in `dues`."""

    def __init__(self) -> None:
        self.dues: list[Due] = []

    async def ring(self, dues: Sequence[Due]) -> None:
        """Remember it."""
        self.dues.extend(dues)


class Allowance:
    """The RateLimiter port; grants at most `left` in all, None: whatever is wanted."""

    def __init__(self, left: int | None = None) -> None:
        self.left = left

    async def take(self, endpoint_id: str, *, rate: int, wanted: int) -> Permits:
        """What is left."""
        granted = wanted if self.left is None else min(self.left, wanted)
        self.left = None if self.left is None else self.left - granted
        return Permits(granted, 1 / rate)
