"""Start a campaign: check that it can run, freeze it, and set it going in one transaction.

Mental model: everything is read and asked first, outside a transaction. The transaction then stores
the new state and `campaign.started` only if the campaign's version is still the one that was read.
Who loses that race reads again, and usually finds the winner's execution running.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.envelope import Envelope, new_event
from contracts.events.campaign import (
    AudienceDefinition,
    CampaignStarted,
    ExecutionOptions,
    ExecutionSnapshot,
    FrozenMessage,
    Priority,
)
from contracts.ids import new_id
from service_kit.clock import Clock
from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Outbox, Transactions, Tx

from campaign_service.application.create_campaign import SOURCE
from campaign_service.application.freeze_messages import freeze_messages
from campaign_service.application.ports import (
    Campaigns,
    Preflight,
    PreflightAnswer,
    PreflightQuery,
    Templates,
)
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.completeness import missing_for_execution
from campaign_service.domain.errors import CampaignNotFound, VersionConflict

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class StartCampaign:
    """The command. `target_percentage` 1-100."""

    org: str
    campaign_id: str
    test_mode: bool = False
    target_percentage: float = 100
    priority: Priority = "normal"


@dataclass(frozen=True, slots=True)
class Started:
    """The execution that now runs, and when it should be done (UTC)."""

    execution_id: str
    estimated_completion: datetime


async def start_campaign(
    command: StartCampaign,
    *,
    campaigns: Campaigns,
    templates: Templates,
    preflight: Preflight,
    transactions: Transactions,
    outbox: Outbox,
    clock: Clock,
) -> Started:
    """Set the campaign going.

    Raises CampaignNotFound, ExecutionRunning, InvalidTransition, FieldErrors (it is incomplete),
    DependencyDown (nobody knows whether it could run), VersionConflict (it kept changing).
    """
    for _ in range(ATTEMPTS):
        campaign = await campaigns.get(command.org, command.campaign_id)
        if campaign is None:
            raise CampaignNotFound
        campaign.ensure_startable(test_mode=command.test_mode)
        messages = await _messages(campaign, templates=templates, now=clock.now())
        answer = await preflight.ask(_question(campaign, command))
        _check(answer, campaign, command)
        now = clock.now()
        started = campaign.start(new_id("exec"), test_mode=command.test_mode, now=now)
        event = _event(started, command, messages, now)

        async def work(tx: Tx, started: Campaign = started, event: Envelope[CampaignStarted] = event) -> None:
            await campaigns.save(tx, started, expected_version=started.version - 1)
            await outbox.add(tx, event)

        try:
            await transactions.run(work)
        except VersionConflict:
            continue
        return Started(event.data.execution_id, _estimate(answer, steps=len(messages), now=now))
    raise VersionConflict


async def _messages(campaign: Campaign, *, templates: Templates, now: datetime) -> list[FrozenMessage]:
    missing = missing_for_execution(campaign.definition, now=now)
    if missing:
        raise FieldErrors(f"{missing[0].field}: {missing[0].message}", details=missing)
    return await freeze_messages(campaign.definition.messages, org=campaign.org, templates=templates)


def _question(campaign: Campaign, command: StartCampaign) -> PreflightQuery:
    return PreflightQuery(
        org=campaign.org,
        segments=campaign.definition.target_audience.segments,
        test_mode=command.test_mode,
        target_percentage=command.target_percentage,
        sampling_seed=campaign.sampling_seed,
        bot_id=_bot_id(campaign),
    )


def _bot_id(campaign: Campaign) -> str | None:
    return campaign.definition.strategy.bot_id if campaign.definition.strategy else None


def _check(answer: PreflightAnswer, campaign: Campaign, command: StartCampaign) -> None:
    """Raises FieldErrors for what only the owner of contacts and bots could know."""
    problems: list[Detail] = []
    if answer.total_count == 0:
        problems.append(Detail("targetAudience.segments", "the audience is empty"))
    elif command.test_mode and answer.testers == 0:
        problems.append(Detail("testMode", "the audience has no testers"))
    if answer.bot is None:
        named = _bot_id(campaign) is not None
        problems.append(
            Detail("strategy.botId", "there is no such bot" if named else "there is no bot yet; register one")
        )
    if problems:
        raise FieldErrors(f"{problems[0].field}: {problems[0].message}", details=problems)


def _event(
    campaign: Campaign, command: StartCampaign, messages: list[FrozenMessage], now: datetime
) -> Envelope[CampaignStarted]:
    definition = campaign.definition
    snapshot = ExecutionSnapshot(
        messages=messages,
        audience=AudienceDefinition(segments=list(definition.target_audience.segments)),
        options=ExecutionOptions(
            test_mode=command.test_mode,
            target_percentage=command.target_percentage,
            priority=command.priority,
        ),
        sampling_seed=campaign.sampling_seed,
        bot_id=_bot_id(campaign),
        end_date=definition.end_date,
    )
    assert campaign.execution is not None  # noqa: S101 - it was started a moment ago
    data = CampaignStarted(
        campaign_id=campaign.id,
        name=definition.name,
        type=definition.type,
        status=campaign.status,
        execution_id=campaign.execution.id,
        test_mode=command.test_mode,
        snapshot=snapshot,
        started_at=now,
    )
    return new_event(
        data, source=SOURCE, subject=campaign.id, org=campaign.org, time=now, sequence=campaign.version
    )


def _estimate(answer: PreflightAnswer, *, steps: int, now: datetime) -> datetime:
    """When the bot's rate lets the last message go."""
    per_second = answer.bot.per_second if answer.bot else 1
    return now + timedelta(seconds=answer.targeted * steps / per_second)
