"""A campaign has been started: remember the execution, so that a planner takes it up."""

from dataclasses import replace
from typing import cast

from contracts.envelope import Envelope
from contracts.events.campaign import CampaignEvent, CampaignStarted, ExecutionSnapshot
from service_kit.clock import Clock
from service_kit.errors import AlreadyHandled
from service_kit.ports import Inbox, Transactions, Tx

from execution_service.application.note_campaign import note_campaign_in
from execution_service.application.ports import AudienceMarks, CampaignAudiences
from execution_service.application.ports_engine import Executions
from execution_service.application.run_again import run_again
from execution_service.domain.execution import Execution
from execution_service.domain.steering import begin, pause, stop


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
    """Put the execution into planning, the one that was scheduled or a new one, and note the campaign.

    One transaction with the event's mark. Raises AlreadyHandled on a repetition. An event that comes out of
    its order (parked and replayed, say) starts nothing that has been paused or cancelled meanwhile.
    """
    # An event is only read, so the more general type is safe where Python's typing cannot know it.
    campaign_event = cast(Envelope[CampaignEvent], event)

    async def work(tx: Tx) -> None:
        await inbox.mark(tx, event.id)
        late = not await note_campaign_in(tx, campaign_event, campaigns=campaigns, marks=marks)
        held = await executions.load(tx, event.data.execution_id)
        if held is not None and (held.begun or held.sequence > (event.sequence or 0)):
            raise AlreadyHandled(event.data.execution_id)
        now = clock.now()
        before, snapshot = held or waiting(event), await frozen(tx, event.data.snapshot)
        after = replace(begin(before, snapshot, now=now), sequence=event.sequence or 0)
        if late:
            status = await campaigns.status(tx, event.data.campaign_id)
            after = stop(after, named=True, now=now) if status == "cancelled" else after
            after = pause(after) if status == "paused" and not after.test_mode else after
        if held is None:
            await executions.add(tx, after)
        else:
            await executions.steer(tx, held, after, now=now)

    async def frozen(tx: Tx, snapshot: ExecutionSnapshot) -> ExecutionSnapshot:
        """A retry sends what the run before it sent, whatever has become of its templates meanwhile."""
        retry = snapshot.options.retry
        former = await executions.load(tx, retry.of) if retry is not None else None
        if former is None or not former.begun:
            return snapshot
        return snapshot.model_copy(update={"messages": former.snapshot.messages})

    def waiting(event: Envelope[CampaignStarted]) -> Execution:
        data = event.data
        return Execution(
            execution_id=data.execution_id,
            org=event.orgid,
            campaign_id=data.campaign_id,
            status="scheduled",
            frozen=None,
            created_at=clock.now(),
            sequence=event.sequence or 0,
        )

    await run_again(transactions, work)
