"""What stats-service says of contacts who did something with a message. Keyed by campaign id."""

from typing import ClassVar

from pydantic import Field

from contracts.envelope import EventData, Model, UtcTime
from contracts.topics import ENGAGEMENT_EVENTS, Topic


class EngagementClicked(EventData):
    """A contact followed a button's tracking link, and was sent on to `url`.

    Every time is an event of its own. `button` counts the message's buttons row by row, from 0. `url` is as
    the message has it: a place for the click's id is still there.
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


class Click(Model):
    """The click that led to a conversion, as its click id says."""

    execution_id: str
    message_id: str
    clicked_at: UtcTime


class EngagementConverted(EventData):
    """A contact did what the campaign wanted of it, by the word of the organisation's back end.

    `conversion_id` names it for ever. `value` has at most four decimals. `click` is there when the back end
    named the click; without it the campaign's message that the contact got is looked for.
    """

    event_type = "engagement.converted"
    topic: ClassVar[Topic] = ENGAGEMENT_EVENTS

    campaign_id: str
    conversion_id: str
    test_mode: bool = False
    contact_id: str
    value: float = Field(ge=0, allow_inf_nan=False)
    currency: str
    click: Click | None = None
    converted_at: UtcTime
