"""All event types by name, and the reader that picks the model by type."""

from functools import lru_cache

import msgspec

from contracts.envelope import AnyEvent, EventData, MalformedEvent, UnknownEventType, decode_as
from contracts.events.audience import AudienceEstimated, ContactErased, SegmentChanged
from contracts.events.campaign import (
    CampaignCancelled,
    CampaignCompleted,
    CampaignCreated,
    CampaignDeleted,
    CampaignFailed,
    CampaignPaused,
    CampaignResumed,
    CampaignScheduled,
    CampaignStarted,
    CampaignUpdated,
)
from contracts.events.delivery import DeliveryRecorded
from contracts.events.engagement import EngagementClicked, EngagementConverted
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPaused, ExecutionPlanned
from contracts.events.settings import SettingsChanged
from contracts.events.statistics import StatisticsUpdated
from contracts.events.webhook import WebhookEndpointDisabled

CATALOGUE: dict[str, type[EventData]] = {
    model.event_type: model
    for model in (
        CampaignCreated,
        CampaignUpdated,
        CampaignScheduled,
        CampaignStarted,
        CampaignPaused,
        CampaignResumed,
        CampaignCompleted,
        CampaignFailed,
        CampaignCancelled,
        CampaignDeleted,
        ExecutionPlanned,
        ExecutionPaused,
        ExecutionCompleted,
        ExecutionFailed,
        DeliveryRecorded,
        EngagementClicked,
        EngagementConverted,
        AudienceEstimated,
        SegmentChanged,
        ContactErased,
        SettingsChanged,
        StatisticsUpdated,
        WebhookEndpointDisabled,
    )
}


class _Type(msgspec.Struct):
    type: str


@lru_cache(maxsize=1)
def _peek() -> "msgspec.json.Decoder[_Type]":
    return msgspec.json.Decoder(_Type)


def event_type(raw: bytes) -> str:
    """The type of the event in `raw`, read without its data. Raises MalformedEvent."""
    try:
        return _peek().decode(raw).type
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEvent(f"not a CloudEvent: {error}") from error


def decode(raw: bytes) -> AnyEvent:
    """Read an event of any known type. Raises MalformedEvent or UnknownEventType."""
    name = event_type(raw)
    model = CATALOGUE.get(name)
    if model is None:
        raise UnknownEventType(name)
    return decode_as(model, raw)
