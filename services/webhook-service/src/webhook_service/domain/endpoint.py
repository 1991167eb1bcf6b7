"""A subscriber's endpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

ALL_EVENTS = "*"


class DisabledReason(StrEnum):
    """Why the service itself switched an endpoint off."""

    GONE = "GONE"
    """It answered 410."""
    FAILING = "FAILING"
    """Nothing has succeeded for days."""


@dataclass(frozen=True, slots=True)
class Secret:
    """A signing secret, encrypted. It signs before `expires_at`; None: until it is replaced."""

    sealed: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an organisation wants its events.

    `campaign_ids`: only these campaigns' events; empty: all. `secrets`: the newest first. `headers`: by name
    as it was given, each value encrypted. `ordered`: a campaign's events one at a time. `rate_limit`:
    requests a second; None: as fast as it goes. `disabled_reason`: None unless the service switched it off.
    `failing_since`: the first failure since the last success, or since nothing was tried for long (see
    `health.SILENCE`). `version` counts changes.
    `failures`, `pauses`, `paused_until`: its circuit breaker, see `health`.
    """

    id: str
    org: str
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    secrets: tuple[Secret, ...]
    created_at: datetime
    updated_at: datetime
    campaign_ids: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    ordered: bool = False
    rate_limit: int | None = None
    disabled_reason: DisabledReason | None = None
    failing_since: datetime | None = None
    last_failure_at: datetime | None = None
    last_success_at: datetime | None = None
    version: int = 1
    failures: int = 0
    pauses: int = 0
    paused_until: datetime | None = None

    def wants(self, event_type: str, campaign_id: str) -> bool:
        """Whether such an event is one that its filters ask for, switched on or off."""
        by_type = ALL_EVENTS in self.events or event_type in self.events
        return by_type and (not self.campaign_ids or campaign_id in self.campaign_ids)

    def valid_secrets(self, now: datetime) -> tuple[Secret, ...]:
        """Those that sign at `now`, the newest first."""
        return tuple(item for item in self.secrets if item.expires_at is None or now < item.expires_at)


def secret_owner(org: str, endpoint_id: str) -> str:
    """Whom a sealed secret belongs to: it opens for no other endpoint."""
    return f"{org}/{endpoint_id}"


def header_owner(org: str, endpoint_id: str, name: str) -> str:
    """Whom a sealed header value belongs to: it opens for no other header or endpoint, nor as a secret."""
    return f"{org}/{endpoint_id}/headers/{name.lower()}"
