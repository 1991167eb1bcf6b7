"""What this service does with which event."""

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

from execution_service.application.steer_execution import SteerExecution


def subscriptions(
    *, note: Handler, accept: Handler, steer: SteerExecution
) -> Mapping[type[EventData], Handler]:
    """Event → handler: campaigns are remembered, started ones become executions, the rest steers those."""
    return {
        CampaignCreated: note,
        CampaignUpdated: steer.update,
        CampaignScheduled: steer.schedule,
        CampaignStarted: accept,
        CampaignPaused: steer.pause,
        CampaignResumed: steer.resume,
        CampaignCompleted: note,
        CampaignFailed: steer.fail,
        CampaignCancelled: steer.cancel,
        CampaignDeleted: steer.cancel,
    }
