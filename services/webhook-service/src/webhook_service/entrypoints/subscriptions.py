"""The events that this service reacts to."""

from collections import Counter
from collections.abc import Mapping, Sequence

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
from service_kit.kafka.consumer import Handler, Together

from webhook_service.application.fan_out_event import CampaignEnvelope, FanOut
from webhook_service.metrics import DELIVERIES_CREATED


def together(fan_out: FanOut) -> Together:
    """Many of them at once."""

    async def deliver(events: Sequence[CampaignEnvelope]) -> None:
        _count(await fan_out(*events))

    return deliver


def _count(made: Counter[str]) -> None:
    for name, count in made.items():
        DELIVERIES_CREATED.labels(type=name).inc(count)


def subscriptions(fan_out: FanOut) -> Mapping[type[EventData], Handler]:
    """Every event that a subscriber may ask for becomes deliveries."""

    async def deliver(event: CampaignEnvelope) -> None:
        _count(await fan_out(event))

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
