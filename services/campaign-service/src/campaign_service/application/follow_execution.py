"""A campaign follows what its execution tells, in the transaction that marks the event.

What is not of the execution now running, or of the running test, changes nothing: it is old news, or the
campaign has been cancelled or deleted.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from contracts.envelope import Envelope
from service_kit.clock import Clock
from service_kit.errors import Poison, Retryable
from service_kit.ports import Inbox, Outbox, Transactions, Tx

from campaign_service.application.change_campaign import Change, store_change
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import InvalidTransition, VersionConflict

Step = Callable[[Campaign, datetime], Change[None] | None]
"""What becomes of the campaign; None: nothing."""


async def follow_execution(
    event: Envelope[Any],
    step: Step,
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    inbox: Inbox,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Take the `step` for the execution's `event`. Raises AlreadyHandled, Retryable, Poison."""
    execution_id = event.data.execution_id

    async def work(tx: Tx) -> None:
        await inbox.mark(tx, event.id)
        campaign = await campaigns.get(event.orgid, event.data.campaign_id, tx=tx)
        if campaign is None or not (campaign.runs(execution_id) or campaign.tests(execution_id)):
            return
        change = step(campaign, clock.now())
        if change is not None:
            await store_change(tx, campaign, change, campaigns=campaigns, outbox=outbox)

    try:
        await transactions.run(work)
    except VersionConflict as error:
        raise Retryable("the campaign changed at the same moment") from error
    except InvalidTransition as error:
        raise Poison(error.message) from error
