"""What a draft may lack and an execution may not."""

from collections.abc import Iterator
from datetime import datetime

from service_kit.errors import Detail

from campaign_service.domain.definition import Definition, Message


def missing_for_execution(definition: Definition, *, now: datetime) -> list[Detail]:
    """What keeps `definition` from being executed at `now`, field by field; empty when nothing does."""
    return list(_missing(definition, now))


def _missing(definition: Definition, now: datetime) -> Iterator[Detail]:
    if definition.type != "message":
        yield Detail("type", f"campaigns of type {definition.type} cannot be executed")
    if not definition.messages:
        yield Detail("messages", "at least one message is needed")
    for position, message in enumerate(definition.messages):
        if not _has_content(message):
            yield Detail(f"messages.{position}.content", "content, media or a templateId is needed")
    if definition.target_audience.empty:
        yield Detail("targetAudience.segments", "at least one segment or filter is needed")
    if definition.end_date is not None and definition.end_date <= now:
        yield Detail("endDate", "the campaign's end has passed")


def _has_content(message: Message) -> bool:
    """Variations that take everybody leave nobody for the message's own text."""
    everybody = sum(variation.weight for variation in message.variations) >= 100
    own = message.content is not None or message.media is not None
    return everybody or own or message.template_id is not None
