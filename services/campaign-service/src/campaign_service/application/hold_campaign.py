"""An execution was held by a guard rail: the campaign is paused, and says why.

It is not when somebody paused it meanwhile, or resumed it in a version that the execution had not followed
yet: that resume sets the execution going again.
"""

from datetime import datetime

from contracts.envelope import Envelope
from contracts.events.execution import ExecutionPaused
from service_kit.clock import Clock
from service_kit.ports import Inbox, Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change
from campaign_service.application.follow_execution import follow_execution
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Failure


async def hold_campaign(
    event: Envelope[ExecutionPaused],
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    inbox: Inbox,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Pause the campaign for the execution's reason. Raises AlreadyHandled, Retryable, Poison."""
    data = event.data
    reason = Failure(data.reason.code, data.reason.message)

    def step(campaign: Campaign, now: datetime) -> Change[None] | None:
        if not campaign.may_be_held(data.execution_id, followed=data.followed):
            return None
        held = campaign.pause(now=now, reason=reason)
        return Change(held, (events.paused(held, at=now),), None)

    await follow_execution(
        event,
        step,
        campaigns=campaigns,
        transactions=transactions,
        inbox=inbox,
        outbox=outbox,
        clock=clock,
    )
