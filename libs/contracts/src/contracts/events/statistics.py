"""What stats-service says. Keyed by campaign id."""

from typing import ClassVar

from pydantic import Field

from contracts.envelope import EventData, Model, UtcTime
from contracts.topics import STATISTICS_EVENTS, Topic


class CampaignStatistics(Model):
    """The numbers a campaign shows of itself. Tasks are the execution's shards."""

    total_tasks: int = Field(default=0, ge=0)
    completed_tasks: int = Field(default=0, ge=0)
    failed_tasks: int = Field(default=0, ge=0)
    messages_sent: int = Field(default=0, ge=0)
    conversions_achieved: int = Field(default=0, ge=0)
    total_cost: float = Field(default=0, ge=0)


class StatisticsUpdated(EventData):
    """A campaign's numbers as of `revision`; a reader keeps the highest revision it has seen."""

    event_type = "statistics.updated"
    topic: ClassVar[Topic] = STATISTICS_EVENTS

    campaign_id: str
    revision: int = Field(ge=1)
    statistics: CampaignStatistics
    updated_at: UtcTime
