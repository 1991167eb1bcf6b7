"""How answers show messages, and what templates have in common with them."""

from contracts.events.campaign import MediaType, ParseMode
from service_kit.api.envelope import ResponseModel

from campaign_service.entrypoints.api.values import Number


class PersonalizationOut(ResponseModel):
    """Which placeholders are filled."""

    enabled: bool
    fields: list[str] | None


class VariationOut(ResponseModel):
    """Another text for a message."""

    id: str
    content: str
    weight: Number


class MediaOut(ResponseModel):
    """What is shown beside a text."""

    type: MediaType
    url: str


class ButtonOut(ResponseModel):
    """A button that opens a URL."""

    text: str
    url: str


class MessageOut(ResponseModel):
    """One step of the campaign."""

    id: str
    template_id: str | None
    content: str | None
    parse_mode: ParseMode | None
    personalization: PersonalizationOut | None
    media: MediaOut | None
    buttons: list[list[ButtonOut]] | None
    variations: list[VariationOut]
