"""What the use cases need from outside."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from service_kit.clock import Clock
from service_kit.idempotency.once import Idempotency
from service_kit.ports import Transactions, Tx

from webhook_service.application.ports_engine import Bell
from webhook_service.domain.delivery import (
    Answer,
    Blocker,
    Claim,
    Delivery,
    Due,
    Ended,
    Lane,
    Outcome,
    Status,
)
from webhook_service.domain.endpoint import DisabledReason, Endpoint
from webhook_service.domain.health import Report


class Endpoints(Protocol):
    """The endpoints of all organisations; every read names the organisation."""

    async def add(self, tx: Tx, endpoint: Endpoint) -> None:
        """Store a new endpoint."""
        ...

    async def save(self, tx: Tx, endpoint: Endpoint, *, expected_version: int, afresh: bool) -> None:
        """Store what its owner decides, if its version is still `expected_version`. Raises VersionConflict.

        What the deliverer notes beside is left alone, unless it begins `afresh`.
        """
        ...

    async def find(self, org: str, endpoint_id: str) -> Endpoint | None:
        """The endpoint, or None when this organisation has no such one."""
        ...

    async def page(self, org: str, *, skip: int, limit: int) -> tuple[list[Endpoint], int]:
        """Endpoints of `org`, newest first, and how many there are in all."""
        ...

    async def count(self, org: str, *, limit: int) -> int:
        """How many endpoints `org` has, counted to `limit` at most."""
        ...

    async def of_orgs(self, orgs: Collection[str]) -> list[Endpoint]:
        """All endpoints of these organisations, switched on or off."""
        ...

    async def by_ids(self, endpoint_ids: Collection[str]) -> dict[str, Endpoint]:
        """Those that are there, of any organisation: for the deliverer, which names them by deliveries."""
        ...

    async def disable(
        self, tx: Tx, endpoint: Endpoint, *, reason: DisabledReason, now: datetime
    ) -> Endpoint | None:
        """Switch it off, if it is on and its url still the one that `endpoint` has.

        The endpoint as it is then, else None.
        """
        ...

    async def note(self, endpoint: Endpoint, report: Report, *, now: datetime) -> Endpoint | None:
        """Store what answers said of it, if its url is still the one that `endpoint` has.

        The endpoint as it is then, else None.
        """
        ...

    async def heal(self, endpoint_ids: Collection[str], *, now: datetime) -> None:
        """Note a success of those of them that are known to fail."""
        ...

    async def pause(self, endpoint: Endpoint, *, until: datetime, again: bool) -> bool:
        """Send nothing until then, if its url and pause are still those of `endpoint`; `again`: count it.

        Whether it was: of several deliverers that see the same, one pauses.
        """
        ...

    async def remove(self, org: str, endpoint_id: str, *, expected_version: int) -> bool:
        """Delete it. Whether it was there, in this version."""
        ...


class Deliveries(Protocol):
    """The deliveries and their leases."""

    async def add(self, tx: Tx, deliveries: Sequence[Delivery]) -> None:
        """Store new deliveries, due at once. Raises AlreadyHandled when one of them exists."""
        ...

    async def ensure(self, deliveries: Sequence[Delivery]) -> None:
        """Store those that are not there yet, each by itself: it may have stored some when it raises."""
        ...

    async def page(
        self, endpoint_id: str, *, statuses: Sequence[Status], event_type: str | None, before: str | None,
        limit: int,
    ) -> list[Delivery]:  # fmt: skip
        """Deliveries to an endpoint, newest first, those with an id below `before`."""
        ...

    async def find(self, endpoint_id: str, delivery_id: str) -> Delivery | None:
        """The delivery to this endpoint, or None."""
        ...

    async def due(
        self, *, now: datetime, limit: int, except_endpoints: Sequence[str], since: datetime | None = None
    ) -> list[Due]:
        """Deliveries that may be taken, longest due first; with `since`, those that came due since then."""
        ...

    async def claim(self, keys: Sequence[str], *, now: datetime, until: datetime) -> list[Claim]:
        """Take those of `keys` that are still due; nobody else gets them before `until`."""
        ...

    async def record(self, outcomes: Sequence[Outcome]) -> list[bool]:
        """Store attempts and what becomes of their deliveries; which ones were stored.

        An outcome whose claim is lost changes nothing. No delivery may be in `outcomes` twice.
        """
        ...

    async def settle(self, claims: Sequence[Claim], status: Status) -> int:
        """End or park them without an attempt. How many; the others' claims are lost."""
        ...

    async def give_back(self, claims: Sequence[Claim], *, due_at: datetime) -> None:
        """Let anybody take them from `due_at` on, but those whose claims are lost."""
        ...

    async def postpone(self, keys: Sequence[str], *, now: datetime, until: datetime) -> None:
        """Let those of `keys` that are due wait until then."""
        ...

    async def release(self, endpoint_id: str, *, now: datetime) -> None:
        """Make due again what waits longer than its own schedule says."""
        ...

    async def blockers(self, lanes: Collection[Lane], *, now: datetime) -> dict[Lane, Blocker]:
        """Of each of the lanes what holds it up: what is taken, else the first that has not lapsed."""
        ...

    async def wake(self, keys: Sequence[str], *, now: datetime) -> None:
        """Make those of `keys` due that wait, untaken, longer than their own schedules say."""
        ...

    async def settle_all(self, endpoint_id: str, status: Status) -> int:
        """End or park all that an endpoint still waits for, but what is taken just now. How many."""
        ...

    async def retry(self, endpoint_id: str, delivery_id: str, *, now: datetime) -> bool:
        """Let one attempt more be made at once, whatever became of the delivery so far.

        False, and nothing, while somebody has it, or when there is none.
        """
        ...

    async def ended(
        self, endpoint_id: str, *, since: datetime, until: datetime, after: str | None, limit: int
    ) -> list[Ended]:
        """What failed or was parked of what was made from `since` until before `until`, oldest first.

        The `limit` first ones, with an id above `after`.
        """
        ...

    async def revive(self, keys: Sequence[str], *, now: datetime, due_at: datetime | None = None) -> int:
        """Begin afresh with those of `keys` that failed or were parked. How many. `due_at` None: at once.

        The schedule begins anew; the attempts that were made stay in the log.
        """
        ...

    async def count_due(self, *, now: datetime, limit: int) -> int:
        """How many are due now, counted to `limit` at most."""
        ...


class Targets(Protocol):
    """Looks at a URL before it is accepted."""

    async def check(self, url: str) -> None:
        """Raises TargetRefused for a URL that breaks a rule, does not resolve, or leads to us."""
        ...


class Sender(Protocol):
    """Posts a signed message: with each of `secrets`, and with the subscriber's own `headers` beside."""

    async def send(
        self,
        url: str,
        *,
        secrets: Sequence[str],
        message_id: str,
        at: datetime,
        body: bytes,
        headers: Mapping[str, str],
    ) -> Answer:
        """The answer, or an Answer that says why there is none. Never raises for what the subscriber does."""
        ...


class Secrets(Protocol):
    """Encrypts signing secrets and header values at rest."""

    def seal(self, plain: str, *, owner: str) -> str:
        """Encrypt for `owner` alone."""
        ...

    def open(self, sealed: str, *, owner: str) -> str:
        """Decrypt."""
        ...


@dataclass(frozen=True, slots=True)
class ApiPorts:
    """Everything the API's use cases need."""

    endpoints: Endpoints
    deliveries: Deliveries
    targets: Targets
    secrets: Secrets
    bell: Bell
    idempotency: Idempotency
    transactions: Transactions
    clock: Clock
    max_endpoints: int = 1_000
    """Of one organisation."""
