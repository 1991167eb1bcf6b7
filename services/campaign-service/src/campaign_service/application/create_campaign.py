"""Create a campaign: a draft, and the event that says so, in one transaction."""

from contracts.envelope import new_event
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import SOURCE
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition


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
    event = new_event(
        events.created(campaign), source=SOURCE, subject=campaign_id, org=org, time=now, sequence=1
    )

    async def work(tx: Tx) -> Campaign:
        await campaigns.add(tx, campaign)
        await outbox.add(tx, event)
        return campaign

    return await transactions.run(work)
