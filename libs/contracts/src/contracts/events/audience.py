"""What execution-service says of audiences, segments and contacts.

Keyed by campaign id, by `<org>/<segment id>`, by `<org>/<contact id>`. A contact is told by its id alone:
never by a name or a chat.
"""

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


class SegmentChanged(EventData):
    """What a segment is called as of `revision`, or that it is gone; readers keep the highest revision.

    Revisions of an id go on growing when a segment is made again under it.
    """

    event_type = "segment.changed"
    topic: ClassVar[Topic] = AUDIENCE_EVENTS

    segment_id: str
    name: str
    revision: int = Field(ge=1)
    changed_at: UtcTime
    deleted: bool = False


class ContactErased(EventData):
    """A person was erased. Who kept anything about this contact but numbers forgets it."""

    event_type = "contact.erased"
    topic: ClassVar[Topic] = AUDIENCE_EVENTS

    contact_id: str
    erased_at: UtcTime
