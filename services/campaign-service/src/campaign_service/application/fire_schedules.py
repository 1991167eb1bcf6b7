"""Fire schedules whose time has come, once each, however many replicas look.

Mental model: whoever sees a due campaign tries to store its next version together with
`campaign.started`; the version decides who does it, and a replica that dies before the commit leaves the
campaign due. So there is nothing to lock and nothing to forget.
"""

from datetime import datetime, timedelta
from typing import Literal

from service_kit.clock import Clock
from service_kit.errors import FieldErrors
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions

from campaign_service.application import campaign_events as events
from campaign_service.application.change_campaign import Change, change_campaign
from campaign_service.application.ports import Campaigns, Templates
from campaign_service.application.prepare_execution import freeze
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.errors import CampaignNotFound, VersionConflict
from campaign_service.domain.execution import Failure

log = get_logger()

TOO_LATE = timedelta(hours=1)
"""A schedule missed by more than that is not what its maker wanted any more."""
BATCH = 100


Result = Literal["begun", "failed", "left"]
"""`left`: somebody else did it, or it is not due any more, or it stays due for the next look."""


async def fire_schedules(
    *, campaigns: Campaigns, templates: Templates, transactions: Transactions, outbox: Outbox, clock: Clock
) -> list[Result]:
    """Fire what is due; what became of each. Raises what the database raises."""
    results: list[Result] = []
    for org, campaign_id in await campaigns.due(clock.now(), limit=BATCH):

        async def step(campaign: Campaign, now: datetime) -> Change[Result]:
            return await fire(campaign, templates=templates, now=now)

        try:
            result = await change_campaign(
                org,
                campaign_id,
                step,
                campaigns=campaigns,
                transactions=transactions,
                outbox=outbox,
                clock=clock,
            )
        except (CampaignNotFound, VersionConflict) as error:
            # Gone, or somebody is busy with it: if it is still due, the next look finds it.
            log.info("schedule.left", campaign_id=campaign_id, reason=error.code)
            result = "left"
        except Exception as error:
            # Stays due. One campaign that cannot be fired must not keep the others waiting.
            log.error("schedule.interrupted", campaign_id=campaign_id, exc_info=error)
            result = "left"
        log.info("schedule.looked_at", campaign_id=campaign_id, org=org, result=result)
        results.append(result)
    return results


async def fire(campaign: Campaign, *, templates: Templates, now: datetime) -> Change[Result]:
    """Begin the waiting execution if it is due still; or fail it, saying why it cannot begin."""
    due_at, execution = campaign.due_at, campaign.execution
    if due_at is None or execution is None or due_at > now:
        return Change(campaign, (), "left")
    if now - due_at > TOO_LATE:
        return _failed(
            campaign, Failure("SCHEDULE_MISSED", "the time for it passed while nobody was there"), now
        )
    try:
        snapshot = await freeze(campaign, execution.options, test_mode=False, templates=templates, now=now)
    except FieldErrors as error:
        return _failed(campaign, _reason(error), now)
    after = campaign.begin(steps=len(snapshot.messages), now=now)
    told = events.started(after, execution_id=execution.id, snapshot=snapshot, at=now)
    return Change(after, (told,), "begun")


def _failed(campaign: Campaign, failure: Failure, now: datetime) -> Change[Result]:
    assert campaign.execution is not None  # noqa: S101 - it waits
    after = campaign.fail(failure, now=now)
    told = events.failed(after, failure, execution_id=campaign.execution.id, at=now)
    return Change(after, (told,), "failed")


def _reason(error: FieldErrors) -> Failure:
    field = error.details[0].field
    if field.endswith("templateId"):
        return Failure("TEMPLATE_MISSING", error.message)
    return Failure("CAMPAIGN_ENDED" if field == "endDate" else "INCOMPLETE", error.message)
