"""Update a campaign: change its definition, its status, or both, in one transaction.

Setting `status` is the command of that name, given to the campaign as it is after the change. Each of
the two is a version of its own, with an event of its own.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from contracts.events.campaign import CampaignEvent, CampaignStatus
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.cancel_campaign import cancel
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.pause_campaign import pause
from campaign_service.application.ports import Campaigns, Preflight, Templates
from campaign_service.application.resume_campaign import resume
from campaign_service.application.start_campaign import StartCampaign, start
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition
from campaign_service.domain.lifecycle import command_for


@dataclass(frozen=True, slots=True)
class UpdateCampaign:
    """The command. `revise` makes the new definition of the one that is stored (raises ServiceErrors).

    `status` None: as it is. `versions`: those that the client means to change (None: any).
    """

    revise: Callable[[Definition], Definition]
    status: CampaignStatus | None = None
    versions: Collection[int] | None = None


async def update_campaign(
    org: str,
    campaign_id: str,
    command: UpdateCampaign,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Campaign:
    """The campaign as it is then; unchanged, and not a version older, when nothing differs.

    Raises CampaignNotFound, PreconditionFailed, NotEditable, InvalidTransition, VersionConflict, and what
    `revise` and the command behind the status raise.
    """

    async def step(campaign: Campaign, now: datetime) -> Change[Campaign]:
        edited, told = _edit(campaign, command.revise(campaign.definition), now)
        if command.status in (None, campaign.status):
            return Change(edited, told, edited)
        after = await _command(edited, command.status, templates=templates, preflight=preflight, now=now)
        return Change(after.campaign, told + after.events, after.campaign)

    return await change_campaign(
        org,
        campaign_id,
        step,
        campaigns=campaigns,
        transactions=transactions,
        outbox=outbox,
        clock=clock,
        versions=command.versions,
    )


def _edit(
    campaign: Campaign, definition: Definition, now: datetime
) -> tuple[Campaign, tuple[CampaignEvent, ...]]:
    changed = campaign.changed(definition)
    if not changed:
        return campaign, ()
    edited = campaign.edit(definition, now=now)
    return edited, (events.updated(edited, changed),)


async def _command(
    campaign: Campaign,
    status: CampaignStatus | None,
    *,
    templates: Templates,
    preflight: Preflight,
    now: datetime,
) -> Change[Campaign]:
    """Raises InvalidTransition for a status that nobody can command, and what the command raises."""
    action = command_for(campaign.status, status or campaign.status)
    if action == "execute":
        command = StartCampaign(scheduled_at=armed_for(campaign.definition, now=now))
        begun = await start(campaign, command, templates=templates, preflight=preflight, now=now)
        return Change(begun.campaign, begun.events, begun.campaign)
    if action == "resume":
        return await resume(campaign, templates=templates, preflight=preflight, now=now)
    return pause(campaign, now=now) if action == "pause" else cancel(campaign, now=now)


def armed_for(definition: Definition, *, now: datetime) -> datetime | None:
    """The start that `status: active` waits for: a coming startDate, with the trigger `scheduled`."""
    triggers = definition.workflow.triggers if definition.workflow else ()
    start_date = definition.start_date
    return start_date if "scheduled" in triggers and start_date is not None and start_date > now else None
