"""A segment: a named group of contacts. Membership is the contact's own list of segment ids."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of `org`; its members are counted, not kept here."""

    org: str
    segment_id: str
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
