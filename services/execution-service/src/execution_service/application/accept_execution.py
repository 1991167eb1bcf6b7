"""A campaign has been started: remember the execution, so that a planner takes it up."""

from typing import cast

from contracts.envelope import Envelope
from contracts.events.campaign import CampaignEvent, CampaignStarted
from service_kit.clock import Clock
from service_kit.ports import Inbox, Transactions, Tx

from execution_service.application.note_campaign import note_campaign_in
from execution_service.application.ports import AudienceMarks, CampaignAudiences
from execution_service.application.ports_engine import Executions
from execution_service.domain.execution import Execution


async def accept_execution(
    event: Envelope[CampaignStarted],
    *,
    executions: Executions,
    campaigns: CampaignAudiences,
    marks: AudienceMarks,
    inbox: Inbox,
    transactions: Transactions,
    clock: Clock,
) -> None:
    """Store the execution in status planning, and what the event tells of the campaign.

    One transaction with the event's mark. Raises AlreadyHandled on a repetition.
    """
    execution = Execution(
        execution_id=event.data.execution_id,
        org=event.orgid,
        campaign_id=event.data.campaign_id,
        status="planning",
        snapshot=event.data.snapshot,
        created_at=clock.now(),
    )

    async def work(tx: Tx) -> None:
        await inbox.mark(tx, event.id)
        await executions.add(tx, execution)
        # An event is only read, so the more general type is safe where Python's typing cannot know it.
        campaign_event = cast(Envelope[CampaignEvent], event)
        await note_campaign_in(tx, campaign_event, campaigns=campaigns, marks=marks)

    await transactions.run(work)
