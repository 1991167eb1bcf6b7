"""The events that this service reacts to."""

from collections.abc import Mapping

from contracts.envelope import EventData
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
from service_kit.kafka.consumer import Handler

from webhook_service.application.fan_out_event import CampaignEnvelope, FanOut
from webhook_service.metrics import DELIVERIES_CREATED


def subscriptions(fan_out: FanOut) -> Mapping[type[EventData], Handler]:
    """Every event that a subscriber may ask for becomes deliveries."""

    async def deliver(event: CampaignEnvelope) -> None:
        created = await fan_out(event)
        DELIVERIES_CREATED.labels(type=event.type).inc(created)

    return {
        CampaignCreated: deliver,
        CampaignUpdated: deliver,
        CampaignScheduled: deliver,
        CampaignStarted: deliver,
        CampaignPaused: deliver,
        CampaignResumed: deliver,
        CampaignCompleted: deliver,
        CampaignFailed: deliver,
        CampaignCancelled: deliver,
        CampaignDeleted: deliver,
    }
