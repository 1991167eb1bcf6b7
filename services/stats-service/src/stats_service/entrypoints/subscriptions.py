"""What the aggregator reads: topic → what becomes of its events. Other types are ignored."""

from contracts.envelope import EventData
from contracts.events.audience import ContactErased, SegmentChanged
from contracts.events.campaign import CampaignEvent
from contracts.events.delivery import DeliveryRecorded
from contracts.events.engagement import EngagementClicked, EngagementConverted
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPlanned
from contracts.events.settings import SettingsChanged

from stats_service.domain.facts import (
    CampaignSeen,
    Clicked,
    Converted,
    ExecutionEnded,
    PriceSet,
    SegmentNamed,
    WindowRecorded,
)
from stats_service.domain.facts import ContactErased as Erased
from stats_service.domain.facts import ExecutionPlanned as Planned

SUBSCRIPTIONS: dict[type[EventData], type] = {
    CampaignEvent: CampaignSeen,
    ExecutionPlanned: Planned,
    ExecutionCompleted: ExecutionEnded,
    ExecutionFailed: ExecutionEnded,
    DeliveryRecorded: WindowRecorded,
    SettingsChanged: PriceSet,
    SegmentChanged: SegmentNamed,
    EngagementClicked: Clicked,
    EngagementConverted: Converted,
    ContactErased: Erased,
}
TOPICS = sorted({event.topic.name for event in SUBSCRIPTIONS})
