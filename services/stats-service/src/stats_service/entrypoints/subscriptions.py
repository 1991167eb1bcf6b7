"""What the aggregator reads: topic → what becomes of its events. Other types are ignored."""

from contracts.envelope import EventData
from contracts.events.audience import SegmentChanged
from contracts.events.campaign import CampaignEvent
from contracts.events.delivery import DeliveryRecorded
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPlanned
from contracts.events.settings import SettingsChanged

from stats_service.domain.facts import CampaignSeen, ExecutionEnded, PriceSet, SegmentNamed, WindowRecorded
from stats_service.domain.facts import ExecutionPlanned as Planned

SUBSCRIPTIONS: dict[type[EventData], type] = {
    CampaignEvent: CampaignSeen,
    ExecutionPlanned: Planned,
    ExecutionCompleted: ExecutionEnded,
    ExecutionFailed: ExecutionEnded,
    DeliveryRecorded: WindowRecorded,
    SettingsChanged: PriceSet,
    SegmentChanged: SegmentNamed,
}
TOPICS = sorted({event.topic.name for event in SUBSCRIPTIONS})
