"""Pause a campaign: what runs stops sending, what waits for its time is held."""

from datetime import datetime

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign


async def pause_campaign(
    org: str,
    campaign_id: str,
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The paused campaign. Raises CampaignNotFound, InvalidTransition, VersionConflict."""

    async def step(campaign: Campaign, now: datetime) -> Change[Campaign]:
        return pause(campaign, now=now)

    return await change_campaign(
        org, campaign_id, step, campaigns=campaigns, transactions=transactions, outbox=outbox, clock=clock
    )


def pause(campaign: Campaign, *, now: datetime) -> Change[Campaign]:
    """The step alone, for commands that do more."""
    after = campaign.pause(now=now)
    return Change(after, (events.paused(after, at=now),), after)
