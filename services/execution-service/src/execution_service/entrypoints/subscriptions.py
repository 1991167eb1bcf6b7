"""What this service does with which event."""

from collections.abc import Mapping

from contracts.envelope import EventData
from contracts.events.campaign import CampaignCompleted, CampaignCreated, CampaignFailed, CampaignStarted
from service_kit.kafka.consumer import Handler


def subscriptions(*, note: Handler, accept: Handler) -> Mapping[type[EventData], Handler]:
    """Event → handler: campaigns are remembered, started ones become executions."""
    return {
        CampaignCreated: note,
        CampaignStarted: accept,
        CampaignCompleted: note,
        CampaignFailed: note,
    }
