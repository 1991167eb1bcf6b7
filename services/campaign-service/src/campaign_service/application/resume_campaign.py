"""Resume a paused campaign. What that means depends on what its execution was doing:

waiting for its time      waits again; at once, if the time has passed meanwhile
running                   goes on with the contacts that are pending
completed in the pause    the campaign completes now
failed after it began     goes on with the pending contacts and the definition as it is now
failed before it began    begins
"""

from datetime import datetime

from service_kit.clock import Clock
from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns, Preflight, Templates
from campaign_service.application.prepare_execution import Prepared, prepare_execution
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Execution


async def resume_campaign(
    org: str,
    campaign_id: str,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The campaign, active again (completed, if there was nothing left to do).

    Raises CampaignNotFound, InvalidTransition, VersionConflict; after a failure also FieldErrors and
    DependencyDown, as a start does.
    """

    async def step(campaign: Campaign, now: datetime) -> Change[Campaign]:
        return await resume(campaign, templates=templates, preflight=preflight, now=now)

    return await change_campaign(
        org, campaign_id, step, campaigns=campaigns, transactions=transactions, outbox=outbox, clock=clock
    )


async def resume(
    campaign: Campaign, *, templates: Templates, preflight: Preflight, now: datetime
) -> Change[Campaign]:
    """The step alone, for commands that do more."""
    active = campaign.resume(now=now)
    execution = campaign.execution
    assert execution is not None  # noqa: S101 - only a campaign with one was ever paused
    if execution.state == "failed":
        prepared = await prepare_execution(
            campaign,
            execution.options,
            test_mode=False,
            templates=templates,
            preflight=preflight,
            now=now,
            retry=execution.retry,
        )
        return _mended(active, execution, prepared, now)
    again = events.resumed(active, at=now)
    if execution.state == "completed" and execution.outcome is not None:
        done = active.complete(execution.outcome, now=now)
        told = events.completed(done, execution_id=execution.id, test_mode=False, outcome=execution.outcome)
        return Change(done, (again, told), active)
    return Change(active, (again,), active)


def _mended(active: Campaign, execution: Execution, prepared: Prepared, now: datetime) -> Change[Campaign]:
    if not execution.begun:
        running = active.begin(steps=prepared.steps, now=now)
        told = events.started(running, execution_id=execution.id, snapshot=prepared.snapshot, at=now)
        return Change(running, (events.resumed(active, at=now), told), running)
    if prepared.steps != execution.steps:
        # Contacts stand somewhere between the messages; with another number of them nobody knows where.
        rule = f"the execution has begun with {execution.steps}; keep that number, or clone the campaign"
        raise FieldErrors(f"messages: {rule}", details=[Detail("messages", rule)])
    return Change(active, (events.resumed(active, at=now, snapshot=prepared.snapshot),), active)
