"""Cancel a campaign: nobody else is sent to, and it never runs again."""

from datetime import datetime

from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign


async def cancel_campaign(
    org: str,
    campaign_id: str,
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The cancelled campaign. Raises CampaignNotFound, InvalidTransition, VersionConflict."""

    async def step(campaign: Campaign, now: datetime) -> Change[Campaign]:
        return cancel(campaign, now=now)

    return await change_campaign(
        org, campaign_id, step, campaigns=campaigns, transactions=transactions, outbox=outbox, clock=clock
    )


def cancel(campaign: Campaign, *, now: datetime) -> Change[Campaign]:
    """The step alone, for commands that do more."""
    after = campaign.cancel(now=now)
    return Change(after, (events.cancelled(after, execution_id=_stopped(campaign), at=now),), after)


def _stopped(campaign: Campaign) -> str | None:
    """The execution that the cancelling stops: a running test, else the campaign's own."""
    if campaign.test is not None and campaign.test.running:
        return campaign.test.id
    return campaign.execution.id if campaign.execution is not None else None
