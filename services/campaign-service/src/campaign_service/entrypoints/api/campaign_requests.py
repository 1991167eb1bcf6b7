"""The bodies that campaign routes take. What GET shows and nobody may set is accepted and ignored."""

from typing import Annotated, Literal

from contracts.events.campaign import CampaignStatus, CampaignType, Priority, RetriedStatus
from contracts.events.settings import TimezoneMode
from contracts.ids import new_id
from pydantic import Field, StringConstraints, field_validator
from pydantic_core.core_schema import ValidationInfo
from service_kit.api.envelope import RequestModel
from service_kit.api.quiet_hours import QuietHoursIn
from service_kit.api.types import ClientId, Description, Moment, Name, ReadOnly, Text

from campaign_service.domain import definition as domain
from campaign_service.domain.errors import DefinitionTooLarge
from campaign_service.entrypoints.api.audience_requests import TargetAudienceIn
from campaign_service.entrypoints.api.message_requests import MessageIn, distinct
from campaign_service.entrypoints.api.values import Amount, Count, Flag, Percent

MAX_DEFINITION = 512 * 1024
"""Bytes of JSON: a larger definition is refused, however it came together."""
READ_ONLY = {"id", "status", "statistics", "baseline", "failure", "pause_reason", "scheduled_at",
                       "created_by", "created_at", "updated_at", "message"}  # fmt: skip


class GoalsIn(RequestModel):
    """What the campaign hopes for."""

    target_audience: Count | None = None
    conversion_rate: Percent | None = None
    revenue: Amount | None = None


class StrategyIn(RequestModel):
    """Notes for people, and which bot sends: `botId`, or the org's default one.

    `botIds`, instead of `botId`: these bots share the contacts, each of whom stays with one. With
    `allowPaidBroadcast` the bots send at their `paidPerSecond`, for the fee that Telegram asks for it.
    `unknownDelivery`: a message that Telegram gave no answer to is left as it is (`skip`), or tried again
    (`retry`), three times at most, and some may get it twice then.
    `quietHours` and `timezoneMode` (on whose clock) take the place of the organisation's settings.
    """

    messaging: Description | None = None
    timing: Description | None = None
    channels: list[domain.Channel] = Field(default_factory=list, max_length=10)
    bot_id: ClientId | None = None
    bot_ids: list[ClientId] = Field(default_factory=list, max_length=20)
    allow_paid_broadcast: Flag = False
    unknown_delivery: domain.UnknownDelivery = "skip"
    quiet_hours: QuietHoursIn | None = None
    timezone_mode: TimezoneMode | None = None

    @field_validator("bot_ids")
    @classmethod
    def _either_one_or_several(cls, value: list[str], info: ValidationInfo) -> list[str]:
        if value and info.data.get("bot_id") is not None:
            raise ValueError("must be empty when there is a botId")
        distinct(list(value), "bot")
        return value


class WorkflowIn(RequestModel):
    """How executions may be set off."""

    id: ClientId | None = None
    name: Name
    triggers: list[domain.WorkflowTrigger] = Field(default_factory=list, max_length=2)


class AbTestIn(RequestModel):
    """A name for the comparison that the variations make."""

    id: ClientId | None = None
    name: Name
    status: ReadOnly = None


class CampaignIn(RequestModel):
    """A campaign's definition. Only `name` is required; completeness is checked at execute."""

    name: Name
    description: Description | None = None
    type: CampaignType = "message"
    goals: GoalsIn | None = None
    target_audience: TargetAudienceIn | None = None
    strategy: StrategyIn | None = None
    messages: list[MessageIn] = Field(default_factory=list, max_length=20)
    workflow: WorkflowIn | None = None
    ab_tests: list[AbTestIn] = Field(default_factory=list, max_length=20)
    budget: Amount | None = Field(
        default=None,
        description="What its messages may cost in all, at the organisation's costPerMessage. "
        "Who is left when it is spent is skipped, BUDGET_EXHAUSTED.",
    )
    start_date: Moment | None = None
    end_date: Moment | None = None

    status: CampaignStatus | None = Field(
        default=None, description="Ignored when creating; updating, the command of that name."
    )
    id: ReadOnly = None
    statistics: ReadOnly = None
    baseline: ReadOnly = None
    failure: ReadOnly = None
    pause_reason: ReadOnly = None
    scheduled_at: ReadOnly = None
    created_by: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None
    message: ReadOnly = None

    @field_validator("messages")
    @classmethod
    def _message_ids_differ(cls, value: list[MessageIn]) -> list[MessageIn]:
        distinct([message.id for message in value], "message")
        return value

    @field_validator("ab_tests")
    @classmethod
    def _test_ids_differ(cls, value: list[AbTestIn]) -> list[AbTestIn]:
        distinct([test.id for test in value], "test")
        return value

    @field_validator("end_date")
    @classmethod
    def _ends_after_it_starts(cls, value: Moment | None, info: ValidationInfo) -> Moment | None:
        start = info.data.get("start_date")
        if value is not None and start is not None and value <= start:
            raise ValueError("must be after startDate")
        return value

    def to_definition(self) -> domain.Definition:
        """The definition in the domain's words, ids made where none were given. Raises DefinitionTooLarge."""
        body = self.model_dump_json(by_alias=True, exclude_none=True, exclude=READ_ONLY)
        if len(body.encode()) > MAX_DEFINITION:
            raise DefinitionTooLarge
        return domain.Definition(
            name=self.name,
            description=self.description,
            type=self.type,
            goals=_goals(self.goals),
            target_audience=(self.target_audience or TargetAudienceIn()).to_domain(),
            strategy=_strategy(self.strategy),
            messages=tuple(message.to_domain() for message in self.messages),
            workflow=_workflow(self.workflow),
            ab_tests=tuple(domain.AbTest(test.id or new_id("ab"), test.name) for test in self.ab_tests),
            budget=self.budget,
            start_date=self.start_date,
            end_date=self.end_date,
        )


def _goals(goals: GoalsIn | None) -> domain.Goals | None:
    if goals is None:
        return None
    return domain.Goals(goals.target_audience, goals.conversion_rate, goals.revenue)


def _strategy(strategy: StrategyIn | None) -> domain.Strategy | None:
    if strategy is None:
        return None
    channels = tuple(dict.fromkeys(strategy.channels))
    quiet = strategy.quiet_hours
    return domain.Strategy(
        strategy.messaging,
        strategy.timing,
        channels,
        strategy.bot_id,
        tuple(strategy.bot_ids),
        strategy.allow_paid_broadcast,
        strategy.unknown_delivery,
        None if quiet is None else domain.QuietHours(f"{quiet.from_:%H:%M}", f"{quiet.to:%H:%M}"),
        strategy.timezone_mode,
    )


def _workflow(workflow: WorkflowIn | None) -> domain.Workflow | None:
    if workflow is None:
        return None
    return domain.Workflow(
        workflow.id or new_id("wf"), workflow.name, tuple(dict.fromkeys(workflow.triggers))
    )


ErrorCode = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z_]{0,63}$")]


class ExecuteIn(RequestModel):
    """How the execution shall run. `scheduledAt`: when it begins; `dryRun`: only tell what it would meet."""

    test_mode: Flag = False
    target_percentage: Annotated[float, Field(strict=True, ge=1, le=100)] = 100
    priority: Priority = "normal"
    scheduled_at: Moment | None = None
    dry_run: Flag = False


class RetryIn(RequestModel):
    """Whom to try again: those with one of these outcomes, for one of these reasons (any, when absent).

    `unknown` ones may have got it: they are tried again only when they are named, and may get it twice.
    """

    statuses: Annotated[list[RetriedStatus], Field(min_length=1, max_length=3)] = Field(
        default=["failed"], validate_default=True
    )
    error_codes: Annotated[list[ErrorCode], Field(min_length=1, max_length=50)] | None = None


class CloneIn(RequestModel):
    """What the copy is called ("<name> (Copy)" when absent), and whether its numbers begin at zero."""

    name: Name | None = None
    reset_statistics: Flag = True


SortKey = Literal[
    "name", "-name", "status", "-status", "type", "-type", "budget", "-budget",
    "startDate", "-startDate", "endDate", "-endDate", "createdAt", "-createdAt", "updatedAt", "-updatedAt",
]  # fmt: skip
SearchText = Annotated[Text, StringConstraints(max_length=200)]
