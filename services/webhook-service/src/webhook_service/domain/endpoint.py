"""A subscriber's endpoint."""

from dataclasses import dataclass
from datetime import datetime

ALL_EVENTS = "*"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an organisation wants its events. `secret_sealed` is the signing secret, encrypted."""

    id: str
    org: str
    url: str
    events: tuple[str, ...]
    description: str
    active: bool
    secret_sealed: str
    created_at: datetime
    updated_at: datetime

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go here."""
        return self.active and (ALL_EVENTS in self.events or event_type in self.events)


def secret_owner(org: str, endpoint_id: str) -> str:
    """Whom a sealed secret belongs to: it opens for no other endpoint."""
    return f"{org}/{endpoint_id}"
