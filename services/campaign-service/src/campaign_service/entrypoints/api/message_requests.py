"""The messages in the bodies of campaigns, and what templates have in common with them."""

from typing import Annotated

from contracts.events.campaign import MediaType, ParseMode
from contracts.ids import new_id
from pydantic import Field, StringConstraints, field_validator
from service_kit.api.envelope import RequestModel
from service_kit.api.types import ClientId

from campaign_service.domain import definition as domain
from campaign_service.entrypoints.api.values import ButtonUrl, Content, Flag, Label, MediaUrl, Percent

FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_.]{0,99}$")]


def distinct(ids: list[str | None], what: str) -> None:
    """Raises ValueError when two of `ids` are the same."""
    given = [item for item in ids if item is not None]
    if len(given) != len(set(given)):
        raise ValueError(f"each {what} needs an id of its own")


class PersonalizationIn(RequestModel):
    """Which placeholders are filled: all when `fields` is absent."""

    enabled: Flag = True
    fields: list[FieldName] | None = Field(default=None, max_length=100)


class MediaIn(RequestModel):
    """What is shown beside the text, which is then a caption of at most 1,024 characters.

    Telegram fetches the URL (photos up to 5 MB, others up to 20 MB).
    """

    type: MediaType
    url: MediaUrl


class ButtonIn(RequestModel):
    """A button that opens a URL, by way of a link that counts who follows it.

    The text may hold placeholders, as the message's; the URL only `{{clickId}}`, once, in its path, query or
    fragment: the id of the click stands there when the link is followed, to be told with a conversion.
    """

    text: Label
    url: ButtonUrl


ButtonRow = Annotated[list[ButtonIn], Field(min_length=1, max_length=8)]
ButtonRows = Annotated[list[ButtonRow], Field(max_length=8)]
"""Rows from top to bottom, each from left to right."""


def media_of(media: MediaIn | None) -> domain.Media | None:
    """The same in the domain's words."""
    return None if media is None else domain.Media(media.type, media.url)


def buttons_of(rows: list[list[ButtonIn]]) -> domain.Buttons:
    """The same in the domain's words."""
    return tuple(tuple(domain.Button(button.text, button.url) for button in row) for row in rows)


class VariationIn(RequestModel):
    """Another text for a message, whose media and buttons stay; `weight` is its share in percent."""

    id: ClientId | None = None
    content: Content
    weight: Percent


class MessageIn(RequestModel):
    """A message with its own `content`, a template's, or both.

    What it has of its own (text, parse mode, media, buttons) goes before its template's; without buttons
    of its own it has the template's, with `[]` none.
    """

    id: ClientId | None = None
    template_id: ClientId | None = None
    content: Content | None = None
    parse_mode: ParseMode | None = None
    personalization: PersonalizationIn | None = None
    media: MediaIn | None = None
    buttons: ButtonRows | None = None
    variations: list[VariationIn] = Field(default_factory=list, max_length=20)

    @field_validator("variations")
    @classmethod
    def _weights_fit(cls, value: list[VariationIn]) -> list[VariationIn]:
        # The tolerance is for thirds: 33.33 + 33.33 + 33.34 is a little over 100 in floating point.
        if sum(variation.weight for variation in value) > 100 + 1e-9:
            raise ValueError("the weights must not sum to more than 100")
        distinct([variation.id for variation in value], "variation")
        return value

    def to_domain(self) -> domain.Message:
        """The same in the domain's words, ids made where none were given."""
        return domain.Message(
            id=self.id or new_id("msg"),
            template_id=self.template_id,
            content=self.content,
            parse_mode=self.parse_mode,
            personalization=_personalization(self.personalization),
            media=media_of(self.media),
            buttons=None if self.buttons is None else buttons_of(self.buttons),
            variations=tuple(
                domain.Variation(item.id or new_id("var"), item.content, item.weight)
                for item in self.variations
            ),
        )


def _personalization(chosen: PersonalizationIn | None) -> domain.Personalization | None:
    if chosen is None:
        return None
    return domain.Personalization(chosen.enabled, None if chosen.fields is None else tuple(chosen.fields))
