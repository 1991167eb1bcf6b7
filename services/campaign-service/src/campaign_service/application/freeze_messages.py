"""Freeze a campaign's messages as an execution will send them, their templates resolved."""

from collections.abc import Mapping

from contracts.events.campaign import Button as FrozenButton
from contracts.events.campaign import FrozenMessage
from contracts.events.campaign import Media as FrozenMedia
from contracts.events.campaign import Personalization as FrozenPersonalization
from contracts.events.campaign import Variation as FrozenVariation
from service_kit.errors import Detail, FieldErrors

from campaign_service.application.ports import Templates
from campaign_service.domain.definition import Buttons, Media, Message, Personalization
from campaign_service.domain.template import Template


async def freeze_messages(
    messages: tuple[Message, ...], *, org: str, templates: Templates
) -> list[FrozenMessage]:
    """The messages in order. Raises FieldErrors, naming each message whose template does not exist."""
    wanted = {message.template_id for message in messages if message.template_id is not None}
    found = await templates.get_many(org, wanted) if wanted else {}
    missing = [
        Detail(f"messages.{position}.templateId", "there is no such template")
        for position, message in enumerate(messages)
        if message.template_id is not None and message.template_id not in found
    ]
    if missing:
        raise FieldErrors(f"{missing[0].field}: {missing[0].message}", details=missing)
    return [_freeze(message, found) for message in messages]


def _freeze(message: Message, templates: Mapping[str, Template]) -> FrozenMessage:
    """What a message has of its own goes before its template's, each part by itself."""
    template = templates[message.template_id] if message.template_id is not None else None
    content = message.content or (template.content if template else "")
    parse_mode = message.parse_mode or (template.parse_mode if template else "none")
    media = message.media or (template.media if template else None)
    buttons = message.buttons if message.buttons is not None else (template.buttons if template else ())
    personalization = message.personalization or Personalization()
    fields = personalization.fields
    return FrozenMessage(
        id=message.id,
        template_id=message.template_id,
        content=content,
        parse_mode=parse_mode,
        variations=[FrozenVariation(id=v.id, content=v.content, weight=v.weight) for v in message.variations],
        personalization=FrozenPersonalization(
            enabled=personalization.enabled, fields=None if fields is None else list(fields)
        ),
        media=_media(media),
        buttons=_buttons(buttons),
    )


def _media(media: Media | None) -> FrozenMedia | None:
    return None if media is None else FrozenMedia(type=media.type, url=media.url)


def _buttons(rows: Buttons) -> list[list[FrozenButton]]:
    return [[FrozenButton(text=button.text, url=button.url) for button in row] for row in rows]
