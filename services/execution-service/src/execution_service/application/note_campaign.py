"""Remember what a campaign event tells of the campaign, and have its audience counted."""

from contracts.envelope import Envelope
from contracts.events.campaign import CampaignCreated, CampaignEvent, CampaignStarted
from service_kit.ports import Inbox, Transactions, Tx

from execution_service.application.ports import AudienceMarks, CampaignAudiences, KnownCampaign


def known_campaign(event: Envelope[CampaignEvent]) -> KnownCampaign:
    """What `event` tells; created and started also tell the audience."""
    data = event.data
    segments: tuple[str, ...] | None = None
    if isinstance(data, CampaignCreated):
        segments = tuple(data.audience.segments)
    elif isinstance(data, CampaignStarted):
        segments = tuple(data.snapshot.audience.segments)
    return KnownCampaign(
        campaign_id=data.campaign_id,
        org=event.orgid,
        name=data.name,
        status=data.status,
        sequence=event.sequence or 0,
        segments=segments,
    )


async def note_campaign_in(
    tx: Tx, event: Envelope[CampaignEvent], *, campaigns: CampaignAudiences, marks: AudienceMarks
) -> None:
    """The effect alone, for a handler that does more in the same transaction."""
    campaign = known_campaign(event)
    if await campaigns.note(tx, campaign) and campaign.segments is not None:
        await marks.add(tx, campaign.org)


async def note_campaign(
    event: Envelope[CampaignEvent],
    *,
    campaigns: CampaignAudiences,
    marks: AudienceMarks,
    inbox: Inbox,
    transactions: Transactions,
) -> None:
    """Handler of campaign events that mean nothing more to this service. Raises AlreadyHandled."""

    async def work(tx: Tx) -> None:
        await inbox.mark(tx, event.id)
        await note_campaign_in(tx, event, campaigns=campaigns, marks=marks)

    await transactions.run(work)
