"""Create a campaign: a draft, and the event that says so, in one transaction."""

from contracts.envelope import new_event
from contracts.events.campaign import AudienceDefinition, CampaignCreated
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition

SOURCE = "campaign-service"


async def create_campaign(
    definition: Definition,
    *,
    org: str,
    created_by: str,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The new draft. It may be incomplete; what is there has been checked at the edge."""
    now = clock.now()
    campaign_id = new_id("camp")
    campaign = Campaign(
        id=campaign_id,
        org=org,
        version=1,
        status="draft",
        definition=definition,
        sampling_seed=campaign_id,
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    created = CampaignCreated(
        campaign_id=campaign.id,
        name=definition.name,
        type=definition.type,
        status=campaign.status,
        audience=AudienceDefinition(segments=list(definition.target_audience.segments)),
    )
    event = new_event(created, source=SOURCE, subject=campaign.id, org=org, time=now, sequence=1)

    async def work(tx: Tx) -> None:
        await campaigns.add(tx, campaign)
        await outbox.add(tx, event)

    await transactions.run(work)
    return campaign
