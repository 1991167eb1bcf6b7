"""Delete a campaign: its definition is erased, and the event says so in the same transaction."""

from collections.abc import Collection
from datetime import datetime

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign


async def delete_campaign(
    org: str,
    campaign_id: str,
    *,
    versions: Collection[int] | None = None,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Erase it. `versions`: those that the client means to delete (None: any).

    Raises CampaignNotFound, PreconditionFailed, InvalidTransition, VersionConflict.
    """

    async def step(campaign: Campaign, now: datetime) -> Change[None]:
        last = campaign.delete(now=now)
        return Change(last, (events.deleted(last, at=now),), None, erased=True)

    await change_campaign(
        org,
        campaign_id,
        step,
        campaigns=campaigns,
        transactions=transactions,
        outbox=outbox,
        clock=clock,
        versions=versions,
    )
