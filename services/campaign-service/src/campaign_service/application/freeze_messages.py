"""Freeze a campaign's messages as an execution will send them, their templates resolved."""

from collections.abc import Mapping

from contracts.events.campaign import FrozenMessage
from contracts.events.campaign import Personalization as FrozenPersonalization
from contracts.events.campaign import Variation as FrozenVariation
from service_kit.errors import Detail, FieldErrors

from campaign_service.application.ports import Templates
from campaign_service.domain.definition import Message, Personalization
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
    """A message's own text and parse mode go before its template's."""
    template = templates[message.template_id] if message.template_id is not None else None
    content = message.content or (template.content if template else "")
    parse_mode = message.parse_mode or (template.parse_mode if template else "none")
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
    )
