"""What stats-service says of contacts who did something with a message. Keyed by campaign id."""

from typing import ClassVar

from pydantic import Field

from contracts.envelope import EventData, UtcTime
from contracts.topics import ENGAGEMENT_EVENTS, Topic


class EngagementClicked(EventData):
    """A contact followed a button's tracking link, and was sent on to `url`.

    Every time is an event of its own. `button` counts the message's buttons row by row, from 0.
    """

    event_type = "engagement.clicked"
    topic: ClassVar[Topic] = ENGAGEMENT_EVENTS

    campaign_id: str
    execution_id: str
    test_mode: bool = False
    message_id: str
    contact_id: str
    button: int = Field(ge=0)
    url: str
    clicked_at: UtcTime
