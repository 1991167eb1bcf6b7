"""What every way of starting an execution has in common: is it complete, can it run, what does it carry."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from contracts.events.campaign import ExecutionOptions, ExecutionSnapshot, FrozenMessage
from contracts.events.campaign import Retry as RetryData
from contracts.events.settings import QuietHours
from service_kit.errors import Detail, FieldErrors

from campaign_service.application.campaign_events import audience_definition
from campaign_service.application.freeze_messages import freeze_messages
from campaign_service.application.ports import Preflight, PreflightAnswer, PreflightQuery, Templates
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.completeness import missing_for_execution
from campaign_service.domain.definition import Strategy
from campaign_service.domain.errors import NothingToRetry
from campaign_service.domain.execution import Options, Retry


@dataclass(frozen=True, slots=True)
class Prepared:
    """An execution that can run: what it carries, and what it would meet now."""

    snapshot: ExecutionSnapshot
    answer: PreflightAnswer

    @property
    def steps(self) -> int:
        """The messages that each contact gets."""
        return len(self.snapshot.messages)

    @property
    def seconds(self) -> float:
        """How long the bots' rates make it take."""
        paid = self.snapshot.allow_paid_broadcast
        per_second = sum(bot.paid_per_second if paid else bot.per_second for bot in self.answer.bots)
        sent_to = max(0, self.answer.targeted - sum(self.answer.suppressed.values()))
        return sent_to * self.steps / per_second

    def done_at(self, start: datetime) -> datetime:
        """When the last message should be out."""
        return start + timedelta(seconds=self.seconds)


async def freeze(
    campaign: Campaign,
    options: Options,
    *,
    test_mode: bool,
    templates: Templates,
    now: datetime,
    retry: Retry | None = None,
) -> ExecutionSnapshot:
    """All that the execution needs, as it stands at `now`. Raises FieldErrors, naming what is missing."""
    missing = missing_for_execution(campaign.definition, now=now)
    if missing:
        raise FieldErrors(f"{missing[0].field}: {missing[0].message}", details=missing)
    messages = await freeze_messages(campaign.definition.messages, org=campaign.org, templates=templates)
    return _snapshot(campaign, options, messages, test_mode=test_mode, retry=retry)


async def prepare_execution(
    campaign: Campaign,
    options: Options,
    *,
    test_mode: bool,
    templates: Templates,
    preflight: Preflight,
    now: datetime,
    retry: Retry | None = None,
) -> Prepared:
    """The execution, checked with those who know contacts and bots.

    Raises FieldErrors, DependencyDown, and NothingToRetry.
    """
    snapshot = await freeze(campaign, options, test_mode=test_mode, templates=templates, now=now, retry=retry)
    audience = campaign.definition.target_audience
    answer = await preflight.ask(
        PreflightQuery(
            org=campaign.org,
            segments=audience.segments,
            filters=audience.filters,
            exclude_segments=audience.exclude_segments,
            test_mode=test_mode,
            target_percentage=options.target_percentage,
            sampling_seed=campaign.sampling_seed,
            bot_ids=_strategy(campaign).bots,
            retry=retry,
        )
    )
    if retry is not None and answer.targeted == 0:
        raise NothingToRetry
    problems = _problems(answer, campaign, test_mode=test_mode)
    if problems:
        raise FieldErrors(f"{problems[0].field}: {problems[0].message}", details=problems)
    return Prepared(snapshot, answer)


def _problems(answer: PreflightAnswer, campaign: Campaign, *, test_mode: bool) -> list[Detail]:
    """What only the owner of contacts and bots could know."""
    problems: list[Detail] = []
    if answer.total_count == 0:
        problems.append(Detail("targetAudience.segments", "the audience is empty"))
    elif test_mode and answer.testers == 0:
        problems.append(Detail("testMode", "the audience has no testers"))
    return problems + _bot_problems(answer, _strategy(campaign))


def _bot_problems(answer: PreflightAnswer, strategy: Strategy) -> list[Detail]:
    if not answer.bots and not strategy.bots:
        return [Detail("strategy.botId", "there is no bot yet; register one")]
    known = {bot.id for bot in answer.bots}
    where = "strategy.botId" if strategy.bot_id else "strategy.botIds.{}"
    problems = [
        Detail(where.format(place), "there is no such bot")
        for place, bot_id in enumerate(strategy.bots)
        if bot_id not in known
    ]
    if strategy.allow_paid_broadcast:
        problems += [
            Detail("strategy.allowPaidBroadcast", f"the limits of {bot.id} allow no paid messages")
            for bot in answer.bots
            if not bot.paid_per_second
        ]
    return problems


def _snapshot(
    campaign: Campaign,
    options: Options,
    messages: list[FrozenMessage],
    *,
    test_mode: bool,
    retry: Retry | None,
) -> ExecutionSnapshot:
    definition, strategy = campaign.definition, _strategy(campaign)
    quiet = strategy.quiet_hours
    return ExecutionSnapshot(
        messages=messages,
        audience=audience_definition(definition.target_audience),
        options=ExecutionOptions(
            test_mode=test_mode,
            target_percentage=options.target_percentage,
            priority=options.priority,
            retry=None if retry is None else _retry(retry),
        ),
        sampling_seed=campaign.sampling_seed,
        bot_id=strategy.bot_id,
        bot_ids=list(strategy.bot_ids),
        allow_paid_broadcast=strategy.allow_paid_broadcast,
        end_date=definition.end_date,
        budget=definition.budget,
        retry_unknown=strategy.unknown_delivery == "retry",
        quiet_hours=quiet and QuietHours(from_=quiet.from_, to=quiet.to),
        timezone_mode=strategy.timezone_mode,
    )


def _retry(retry: Retry) -> RetryData:
    codes = None if retry.error_codes is None else list(retry.error_codes)
    return RetryData(of=retry.of, statuses=list(retry.statuses), error_codes=codes)


def _strategy(campaign: Campaign) -> Strategy:
    return campaign.definition.strategy or Strategy()
