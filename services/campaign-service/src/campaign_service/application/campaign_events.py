"""The events that tell of a campaign's steps, each made from the campaign as the step leaves it."""

from datetime import datetime
from typing import Any

from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCancelled,
    CampaignCompleted,
    CampaignCreated,
    CampaignDeleted,
    CampaignFailed,
    CampaignPaused,
    CampaignResumed,
    CampaignScheduled,
    CampaignStarted,
    CampaignUpdated,
    ExecutionSnapshot,
    Totals,
)
from contracts.events.campaign import Failure as FailureData
from pydantic.alias_generators import to_camel

from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import TargetAudience
from campaign_service.domain.execution import Failure, Outcome

NOBODY = Totals(targeted=0, successful=0, failed=0, skipped=0, unknown=0)


def audience_definition(audience: TargetAudience) -> AudienceDefinition:
    """The audience in the contract's form."""
    return AudienceDefinition(
        segments=list(audience.segments),
        filters=None if audience.filters is None else dict(audience.filters),
        exclude_segments=list(audience.exclude_segments),
    )


def created(campaign: Campaign) -> CampaignCreated:
    """A draft exists."""
    audience = audience_definition(campaign.definition.target_audience)
    return CampaignCreated(**_common(campaign), audience=audience, budget=campaign.definition.budget)


def updated(campaign: Campaign, changed: list[str]) -> CampaignUpdated:
    """The fields `changed` (Python names) of the definition are new."""
    return CampaignUpdated(
        **_common(campaign),
        changed=[to_camel(name) for name in changed],
        audience=audience_definition(campaign.definition.target_audience),
        end_date=campaign.definition.end_date,
        budget=campaign.definition.budget,
    )


def scheduled(campaign: Campaign, *, execution_id: str, at: datetime) -> CampaignScheduled:
    """An execution waits for `at`."""
    return CampaignScheduled(**_common(campaign), execution_id=execution_id, scheduled_at=at)


def started(
    campaign: Campaign, *, execution_id: str, snapshot: ExecutionSnapshot, at: datetime
) -> CampaignStarted:
    """An execution shall run."""
    return CampaignStarted(
        **_common(campaign),
        execution_id=execution_id,
        test_mode=snapshot.options.test_mode,
        snapshot=snapshot,
        started_at=at,
    )


def paused(campaign: Campaign, *, at: datetime) -> CampaignPaused:
    """It is held, for the reason that the campaign shows, if any."""
    reason = campaign.pause_reason
    return CampaignPaused(
        **_common(campaign),
        execution_id=_execution_id(campaign),
        reason=reason and FailureData(code=reason.code, message=reason.message),
        paused_at=at,
    )


def resumed(
    campaign: Campaign, *, at: datetime, snapshot: ExecutionSnapshot | None = None
) -> CampaignResumed:
    """It goes on."""
    return CampaignResumed(
        **_common(campaign),
        execution_id=_execution_id(campaign),
        snapshot=snapshot,
        scheduled_at=campaign.scheduled_at,
        resumed_at=at,
    )


def completed(
    campaign: Campaign, *, execution_id: str, test_mode: bool, outcome: Outcome
) -> CampaignCompleted:
    """Everybody has an outcome."""
    return CampaignCompleted(
        **_common(campaign),
        execution_id=execution_id,
        test_mode=test_mode,
        totals=Totals(
            targeted=outcome.targeted,
            successful=outcome.successful,
            failed=outcome.failed,
            skipped=outcome.skipped,
            unknown=outcome.unknown,
        ),
        completed_at=outcome.completed_at,
    )


def failed(
    campaign: Campaign,
    failure: Failure,
    *,
    execution_id: str,
    at: datetime,
    totals: Totals = NOBODY,
    test_mode: bool = False,
) -> CampaignFailed:
    """The execution stopped as a whole."""
    return CampaignFailed(
        **_common(campaign),
        execution_id=execution_id,
        test_mode=test_mode,
        failure=FailureData(code=failure.code, message=failure.message),
        totals=totals,
        failed_at=at,
    )


def cancelled(campaign: Campaign, *, execution_id: str | None, at: datetime) -> CampaignCancelled:
    """It is over; `execution_id` names what ran, if anything did."""
    return CampaignCancelled(**_common(campaign), execution_id=execution_id, cancelled_at=at)


def deleted(campaign: Campaign, *, at: datetime) -> CampaignDeleted:
    """It is gone."""
    return CampaignDeleted(**_common(campaign), deleted_at=at)


def _common(campaign: Campaign) -> dict[str, Any]:
    return {
        "campaign_id": campaign.id,
        "name": campaign.definition.name,
        "type": campaign.definition.type,
        "status": campaign.status,
    }


def _execution_id(campaign: Campaign) -> str:
    assert campaign.execution is not None  # noqa: S101 - only a campaign with one gets here
    return campaign.execution.id
