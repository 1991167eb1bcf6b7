"""Remember what a campaign event tells of the campaign, and have its audience counted."""

from contracts.envelope import Envelope
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCreated,
    CampaignDeleted,
    CampaignEvent,
    CampaignStarted,
    CampaignUpdated,
)
from service_kit.ports import Inbox, Transactions, Tx

from execution_service.application.ports import AudienceMarks, CampaignAudiences, KnownCampaign


def known_campaign(event: Envelope[CampaignEvent]) -> KnownCampaign:
    """What `event` tells; created, updated and started also tell the audience. A deletion erases both."""
    data = event.data
    deleted = isinstance(data, CampaignDeleted)
    audience: AudienceDefinition | None = None
    if isinstance(data, CampaignCreated | CampaignUpdated):
        audience = data.audience
    elif isinstance(data, CampaignStarted):
        audience = data.snapshot.audience
    return KnownCampaign(
        campaign_id=data.campaign_id,
        org=event.orgid,
        name="" if deleted else data.name,
        status=data.status,
        sequence=event.sequence or 0,
        audience=AudienceDefinition() if deleted else audience,
        deleted=deleted,
    )


async def note_campaign_in(
    tx: Tx, event: Envelope[CampaignEvent], *, campaigns: CampaignAudiences, marks: AudienceMarks
) -> bool:
    """The effect alone, for a handler that does more in the same transaction; False: newer is known."""
    campaign = known_campaign(event)
    newest = await campaigns.note(tx, campaign)
    if newest and campaign.audience is not None and not campaign.deleted:
        await marks.add(tx, campaign.org)
    return newest


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
