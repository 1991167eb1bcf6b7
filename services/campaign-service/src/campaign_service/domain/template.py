"""A template: a text, with media and buttons perhaps, that several campaigns share."""

from dataclasses import dataclass
from datetime import datetime

from contracts.events.campaign import ParseMode

from campaign_service.domain.definition import Buttons, Media


@dataclass(frozen=True, slots=True)
class Template:
    """One template. `content` may hold placeholders such as `{{firstName|there}}`."""

    id: str
    org: str
    name: str
    content: str
    parse_mode: ParseMode
    created_at: datetime
    updated_at: datetime
    media: Media | None = None
    buttons: Buttons = ()
    version: int = 1
