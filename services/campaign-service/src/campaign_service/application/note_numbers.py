"""Numbers that other services report of a campaign. They change no version and no `updatedAt`.

No inbox: the document itself remembers how new its numbers are, so that an event that comes twice,
or after a newer one, changes nothing.
"""

from contracts.envelope import Envelope
from contracts.events.audience import AudienceEstimated
from contracts.events.statistics import StatisticsUpdated

from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Statistics


async def note_audience(event: Envelope[AudienceEstimated], *, campaigns: Campaigns) -> None:
    """Keep how many contacts the campaign addresses."""
    data = event.data
    await campaigns.note_audience(
        event.orgid, data.campaign_id, total_count=data.total_count, at=data.estimated_at
    )


async def note_statistics(event: Envelope[StatisticsUpdated], *, campaigns: Campaigns) -> None:
    """Keep the campaign's numbers, if they are newer than those it has."""
    data = event.data
    await campaigns.note_statistics(
        event.orgid,
        data.campaign_id,
        statistics=Statistics(**data.statistics.model_dump()),
        revision=data.revision,
    )
