"""An execution has ended: the campaign follows, and says so, in the transaction that marks the event.

An end that is not of the execution now running changes nothing: it is old news.
"""

from collections.abc import Callable
from datetime import datetime

from contracts.envelope import Envelope, new_event
from contracts.events.campaign import CampaignCompleted, CampaignFailed
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from service_kit.clock import Clock
from service_kit.errors import Poison, Retryable
from service_kit.ports import Inbox, Outbox, Transactions, Tx

from campaign_service.application.create_campaign import SOURCE
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign, Failure
from campaign_service.domain.errors import InvalidTransition, VersionConflict

Ended = Envelope[ExecutionCompleted] | Envelope[ExecutionFailed]
Outcome = CampaignCompleted | CampaignFailed


async def complete_campaign(
    event: Envelope[ExecutionCompleted],
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    inbox: Inbox,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Everybody has an outcome: the campaign is completed (a test leaves its status as it was)."""

    def step(campaign: Campaign, now: datetime) -> tuple[Campaign, CampaignCompleted]:
        done = campaign.complete(now=now)
        return done, CampaignCompleted(
            campaign_id=done.id,
            name=done.definition.name,
            type=done.definition.type,
            status=done.status,
            execution_id=event.data.execution_id,
            test_mode=event.data.test_mode,
            totals=event.data.totals,
            completed_at=event.data.completed_at,
        )

    await _end(event, step, campaigns, transactions, inbox, outbox, clock)


async def fail_campaign(
    event: Envelope[ExecutionFailed],
    *,
    campaigns: Campaigns,
    transactions: Transactions,
    inbox: Inbox,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """The execution stopped as a whole: the campaign is paused and shows why."""

    def step(campaign: Campaign, now: datetime) -> tuple[Campaign, CampaignFailed]:
        reason = event.data.failure
        stopped = campaign.fail(Failure(reason.code, reason.message), now=now)
        return stopped, CampaignFailed(
            campaign_id=stopped.id,
            name=stopped.definition.name,
            type=stopped.definition.type,
            status=stopped.status,
            execution_id=event.data.execution_id,
            test_mode=event.data.test_mode,
            failure=reason,
            totals=event.data.totals,
            failed_at=event.data.failed_at,
        )

    await _end(event, step, campaigns, transactions, inbox, outbox, clock)


async def _end(
    event: Ended,
    step: Callable[[Campaign, datetime], tuple[Campaign, Outcome]],
    campaigns: Campaigns,
    transactions: Transactions,
    inbox: Inbox,
    outbox: Outbox,
    clock: Clock,
) -> None:
    async def work(tx: Tx) -> None:
        await inbox.mark(tx, event.id)
        campaign = await campaigns.get(event.orgid, event.data.campaign_id, tx=tx)
        if campaign is None:
            raise Poison("the execution's campaign does not exist")
        if not campaign.runs(event.data.execution_id):
            return
        now = clock.now()
        ended, data = step(campaign, now)
        await campaigns.save(tx, ended, expected_version=campaign.version)
        await outbox.add(
            tx,
            new_event(data, source=SOURCE, subject=ended.id, org=ended.org, time=now, sequence=ended.version),
        )

    try:
        await transactions.run(work)
    except VersionConflict as error:
        raise Retryable("the campaign changed at the same moment") from error
    except InvalidTransition as error:
        raise Poison(error.message) from error
