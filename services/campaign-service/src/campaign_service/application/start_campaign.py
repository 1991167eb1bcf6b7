"""Start a campaign, now or at a time: check that it can run, freeze it, and set it going.

Everything is read and asked before the transaction; see `change_campaign` for what happens to races.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.get_campaign import get_campaign
from campaign_service.application.ports import Campaigns, Preflight, Templates
from campaign_service.application.prepare_execution import Prepared, prepare_execution
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Options

LATENESS = timedelta(seconds=60)
"""A start asked for so long ago is meant as now; before that it is a mistake."""


@dataclass(frozen=True, slots=True)
class StartCampaign:
    """The command. `scheduled_at` (UTC) None: now."""

    options: Options = field(default_factory=Options)
    test_mode: bool = False
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Started:
    """The execution, and when it should be done (UTC)."""

    execution_id: str
    status: Literal["started", "scheduled"]
    estimated_completion: datetime
    scheduled_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DryRun:
    """What an execution would come to: who would not get it and why, how long it takes, what it costs."""

    total_count: int
    suppressed: dict[str, int]
    estimated_duration_seconds: int
    estimated_cost: float


async def start_campaign(
    org: str,
    campaign_id: str,
    command: StartCampaign,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Started:
    """Set the campaign going, or its clock.

    Raises CampaignNotFound, ExecutionRunning, InvalidTransition, FieldErrors (it is incomplete),
    DependencyDown (nobody knows whether it could run), VersionConflict (it kept changing).
    """

    async def step(campaign: Campaign, now: datetime) -> Change[Started]:
        return await start(campaign, command, templates=templates, preflight=preflight, now=now)

    return await change_campaign(
        org, campaign_id, step, campaigns=campaigns, transactions=transactions, outbox=outbox, clock=clock
    )


async def start(
    campaign: Campaign, command: StartCampaign, *, templates: Templates, preflight: Preflight, now: datetime
) -> Change[Started]:
    """The step alone, for commands that do more."""
    campaign.ensure_startable(test_mode=command.test_mode)
    waits_for = _scheduled(campaign, command, now=now)
    prepared = await prepare_execution(
        campaign,
        command.options,
        test_mode=command.test_mode,
        templates=templates,
        preflight=preflight,
        now=now,
    )
    execution_id = new_id("exec")
    if waits_for is not None:
        after = campaign.schedule(execution_id, waits_for, command.options, now=now)
        event = events.scheduled(after, execution_id=execution_id, at=waits_for)
        answer = Started(execution_id, "scheduled", prepared.done_at(waits_for), waits_for)
        return Change(after, (event,), answer)
    return _started(campaign, command, prepared, execution_id, now)


def _started(
    campaign: Campaign, command: StartCampaign, prepared: Prepared, execution_id: str, now: datetime
) -> Change[Started]:
    if command.test_mode:
        after = campaign.start_test(execution_id, now=now)
    else:
        after = campaign.start(execution_id, command.options, steps=prepared.steps, now=now)
    event = events.started(after, execution_id=execution_id, snapshot=prepared.snapshot, at=now)
    return Change(after, (event,), Started(execution_id, "started", prepared.done_at(now)))


def _scheduled(campaign: Campaign, command: StartCampaign, *, now: datetime) -> datetime | None:
    """What it has to wait for; None: nothing. Raises FieldErrors for a time that cannot be meant."""
    at, end = command.scheduled_at, campaign.definition.end_date
    if at is None:
        return None
    rule = None
    if command.test_mode:
        rule = "a test cannot be scheduled"
    elif at < now - LATENESS:
        rule = "must not lie in the past"
    elif end is not None and at >= end:
        rule = "must be before endDate"
    if rule is not None:
        raise FieldErrors(f"scheduledAt: {rule}", details=[Detail("scheduledAt", rule)])
    return at if at > now else None


async def dry_run(
    org: str,
    campaign_id: str,
    command: StartCampaign,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    clock: Clock,
) -> DryRun:
    """What `start_campaign` would meet; starts nothing. Raises what it raises."""
    campaign, now = await get_campaign(org, campaign_id, campaigns=campaigns), clock.now()
    campaign.ensure_startable(test_mode=command.test_mode)
    begin = _scheduled(campaign, command, now=now) or now
    prepared = await prepare_execution(
        campaign,
        command.options,
        test_mode=command.test_mode,
        templates=templates,
        preflight=preflight,
        now=now,
    )
    told = await preflight.foretell(org, prepared.snapshot, begin=begin)
    seconds = prepared.seconds if told.seconds is None else told.seconds
    return DryRun(told.total_count, dict(told.suppressed), round(seconds), told.cost)
