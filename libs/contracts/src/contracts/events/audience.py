"""What execution-service says of audiences. Keyed by campaign id."""

from typing import ClassVar

from pydantic import Field

from contracts.envelope import EventData, UtcTime
from contracts.topics import AUDIENCE_EVENTS, Topic


class AudienceEstimated(EventData):
    """How many contacts a campaign addresses now, before suppression and sampling."""

    event_type = "audience.estimated"
    topic: ClassVar[Topic] = AUDIENCE_EVENTS

    campaign_id: str
    total_count: int = Field(ge=0)
    estimated_at: UtcTime
