"""An execution has ended: the campaign follows, and says so.

One that completes while the campaign is paused is kept until it is resumed.
"""

from datetime import datetime

from contracts.envelope import Envelope
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from service_kit.clock import Clock
from service_kit.ports import Inbox, Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change
from campaign_service.application.follow_execution import follow_execution
from campaign_service.application.ports import Campaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Failure, Outcome


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
    execution_id = event.data.execution_id
    outcome = Outcome(**event.data.totals.model_dump(), completed_at=event.data.completed_at)

    def step(campaign: Campaign, now: datetime) -> Change[None]:
        testing = campaign.tests(execution_id)
        if not testing and campaign.status == "paused":
            return Change(campaign.hold_outcome(outcome), (), None)
        done = campaign.end_test(now=now) if testing else campaign.complete(outcome, now=now)
        told = events.completed(done, execution_id=execution_id, test_mode=testing, outcome=outcome)
        return Change(done, (told,), None)

    await follow_execution(
        event,
        step,
        campaigns=campaigns,
        transactions=transactions,
        inbox=inbox,
        outbox=outbox,
        clock=clock,
    )


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
    data = event.data
    failure = Failure(data.failure.code, data.failure.message)

    def step(campaign: Campaign, now: datetime) -> Change[None]:
        testing = campaign.tests(data.execution_id)
        stopped = campaign.end_test(now=now) if testing else campaign.fail(failure, now=now)
        told = events.failed(
            stopped,
            failure,
            execution_id=data.execution_id,
            at=data.failed_at,
            totals=data.totals,
            test_mode=testing,
        )
        return Change(stopped, (told,), None)

    await follow_execution(
        event,
        step,
        campaigns=campaigns,
        transactions=transactions,
        inbox=inbox,
        outbox=outbox,
        clock=clock,
    )
