"""Retry a completed campaign: a new execution for those whose outcome it names, and for nobody else.

Whom it goes to is decided by execution-service, which has the ledger; what is known here is the run that it
follows. The campaign is active until that execution is done.
"""

from dataclasses import dataclass
from datetime import datetime

from contracts.events.campaign import RetriedStatus
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns, Preflight, Templates
from campaign_service.application.prepare_execution import prepare_execution
from campaign_service.application.start_campaign import Started
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.execution import Retry


@dataclass(frozen=True, slots=True)
class RetryCampaign:
    """The command: those with one of `statuses` for one of `error_codes` (None: any)."""

    statuses: tuple[RetriedStatus, ...]
    error_codes: tuple[str, ...] | None = None


async def retry_campaign(
    org: str,
    campaign_id: str,
    command: RetryCampaign,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Started:
    """Set the retry going.

    Raises CampaignNotFound, InvalidTransition (it is not completed), NothingToRetry, FieldErrors (it has
    ended, or has no bot any more), DependencyDown, VersionConflict.
    """

    async def step(campaign: Campaign, now: datetime) -> Change[Started]:
        return await _retry(campaign, command, templates=templates, preflight=preflight, now=now)

    return await change_campaign(
        org, campaign_id, step, campaigns=campaigns, transactions=transactions, outbox=outbox, clock=clock
    )


async def _retry(
    campaign: Campaign, command: RetryCampaign, *, templates: Templates, preflight: Preflight, now: datetime
) -> Change[Started]:
    former = campaign.ensure_retryable()
    retry = Retry(former.id, command.statuses, command.error_codes)
    prepared = await prepare_execution(
        campaign,
        former.options,
        test_mode=False,
        templates=templates,
        preflight=preflight,
        now=now,
        retry=retry,
    )
    execution_id = new_id("exec")
    after = campaign.retry(execution_id, retry, steps=prepared.steps, now=now)
    event = events.started(after, execution_id=execution_id, snapshot=prepared.snapshot, at=now)
    return Change(after, (event,), Started(execution_id, "started", prepared.done_at(now)))
