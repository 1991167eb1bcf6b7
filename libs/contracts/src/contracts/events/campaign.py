"""What campaign-service says: the life of a campaign. Keyed by campaign id, ordered by `sequence`."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from contracts.envelope import EventData, Model, UtcTime
from contracts.events.settings import QuietHours, TimezoneMode
from contracts.topics import CAMPAIGN_EVENTS, Topic

CampaignType = Literal["message", "invitation", "data_collection", "engagement", "custom"]
CampaignStatus = Literal["draft", "active", "paused", "completed", "cancelled"]
Priority = Literal["low", "normal", "high"]
ParseMode = Literal["HTML", "MarkdownV2", "none"]
MediaType = Literal["photo", "video", "document", "animation"]
RetriedStatus = Literal["failed", "skipped", "unknown"]


class Totals(Model):
    """How an execution ended, in contacts: targeted = successful + failed + skipped + unknown."""

    targeted: int = Field(ge=0)
    successful: int = Field(ge=0)
    failed: int = Field(ge=0)
    skipped: int = Field(ge=0)
    unknown: int = Field(ge=0)


class Failure(Model):
    """Why an execution as a whole could not go on."""

    code: str
    message: str


class AudienceDefinition(Model):
    """Who is meant: segments are united, `exclude_segments` subtracted, filters intersect.

    `filters`: `location` (any of), `ageRange` [from, to] (inclusive), `interests` (any of), `purchaseHistory`
    (equals); any other key names an attribute: a scalar equals, a list any of, `{min, max}` a range.
    """

    segments: list[str] = Field(default_factory=list)
    filters: dict[str, Any] | None = None
    exclude_segments: list[str] = Field(default_factory=list)


class Variation(Model):
    """Another text for the same message; `weight` is its share in percent."""

    id: str
    content: str
    weight: float = Field(ge=0, le=100)


class Personalization(Model):
    """Which placeholders are filled; all when `fields` is null, none when not enabled."""

    enabled: bool = True
    fields: list[str] | None = None


class Media(Model):
    """What a message shows beside its text, which is then its caption. Telegram fetches the URL."""

    type: MediaType
    url: str


class Button(Model):
    """A button under a message; `text` may hold placeholders. It leads to `url` by way of a tracking link."""

    text: str
    url: str


class FrozenMessage(Model):
    """A message as it stood when the execution started, its template resolved. `buttons` are rows of them."""

    id: str
    template_id: str | None = None
    content: str
    parse_mode: ParseMode = "none"
    variations: list[Variation] = Field(default_factory=list)
    personalization: Personalization = Personalization()
    media: Media | None = None
    buttons: list[list[Button]] = Field(default_factory=list)


class Retry(Model):
    """Only for those whose outcome, over the campaign's runs so far, is one of `statuses` for one of
    `error_codes` (null: any). `of` is the latest run before this one.
    """

    of: str
    statuses: list[RetriedStatus]
    error_codes: list[str] | None = None


class ExecutionOptions(Model):
    """How the execution was asked for. With `retry` it goes to those, and no audience is walked."""

    test_mode: bool = False
    target_percentage: float = Field(default=100, gt=0, le=100)
    priority: Priority = "normal"
    retry: Retry | None = None


class ExecutionSnapshot(Model):
    """All that an execution needs, so that execution-service never asks back.

    The bots are `bot_ids` (each contact stays with one), or `bot_id`, or the organisation's default one.
    `retry_unknown`: a message that got no answer is tried again, which may double it.
    `budget`: what the campaign's messages may cost, over all its runs; null: anything.
    `quiet_hours`, `timezone_mode`: null means the organisation's, as they are at the time.
    """

    messages: Annotated[list[FrozenMessage], Field(min_length=1)]
    audience: AudienceDefinition
    options: ExecutionOptions
    sampling_seed: str
    bot_id: str | None = None
    bot_ids: list[str] = Field(default_factory=list)
    allow_paid_broadcast: bool = False
    end_date: UtcTime | None = None
    budget: float | None = Field(default=None, ge=0)
    retry_unknown: bool = False
    quiet_hours: QuietHours | None = None
    timezone_mode: TimezoneMode | None = None

    @property
    def named_bots(self) -> list[str]:
        """The bots that share the contacts; none means the organisation's default one."""
        return self.bot_ids or ([self.bot_id] if self.bot_id else [])


NOT_PUBLIC = frozenset({"snapshot", "audience"})
"""Fields of campaign events that webhook subscribers do not see."""


class CampaignEvent(EventData):
    """What every campaign event carries."""

    topic: ClassVar[Topic] = CAMPAIGN_EVENTS

    campaign_id: str
    name: str
    type: CampaignType
    status: CampaignStatus
    execution_id: str | None = None
    test_mode: bool = False

    def public(self) -> dict[str, Any]:
        """What webhook subscribers see: no snapshot, no audience."""
        return self.model_dump(mode="json", by_alias=True, exclude=set(NOT_PUBLIC), exclude_none=True)


class CampaignCreated(CampaignEvent):
    """A draft exists."""

    event_type = "campaign.created"

    audience: AudienceDefinition = AudienceDefinition()
    budget: float | None = Field(default=None, ge=0)


class CampaignUpdated(CampaignEvent):
    """The definition has changed. `changed` names the fields; audience, end and budget as they are now."""

    event_type = "campaign.updated"

    changed: list[str]
    audience: AudienceDefinition
    end_date: UtcTime | None = None
    budget: float | None = Field(default=None, ge=0)


class CampaignScheduled(CampaignEvent):
    """An execution waits for its time; `campaign.started` with the same `execution_id` sets it going."""

    event_type = "campaign.scheduled"

    execution_id: str
    scheduled_at: UtcTime


class CampaignStarted(CampaignEvent):
    """An execution shall run. Carries everything that it needs."""

    event_type = "campaign.started"

    execution_id: str
    snapshot: ExecutionSnapshot
    started_at: UtcTime


class CampaignCompleted(CampaignEvent):
    """An execution has attempted everybody it was meant for."""

    event_type = "campaign.completed"

    execution_id: str
    totals: Totals
    completed_at: UtcTime


class CampaignFailed(CampaignEvent):
    """An execution stopped as a whole; the campaign waits, paused, to be mended."""

    event_type = "campaign.failed"

    execution_id: str
    failure: Failure
    totals: Totals
    failed_at: UtcTime


class CampaignPaused(CampaignEvent):
    """The execution, or the wait for its scheduled time, is held. `reason`: why, when nobody asked for it."""

    event_type = "campaign.paused"

    execution_id: str
    reason: Failure | None = None
    paused_at: UtcTime


class CampaignResumed(CampaignEvent):
    """The execution goes on with the contacts that are still pending.

    `snapshot` is there after a failure: pending contacts get this one. `scheduled_at` is there when the
    execution still waits for its time.
    """

    event_type = "campaign.resumed"

    execution_id: str
    snapshot: ExecutionSnapshot | None = None
    scheduled_at: UtcTime | None = None
    resumed_at: UtcTime


class CampaignCancelled(CampaignEvent):
    """The campaign is over: nobody else is sent to. Without `execution_id` there was no execution."""

    event_type = "campaign.cancelled"

    cancelled_at: UtcTime


class CampaignDeleted(CampaignEvent):
    """The definition is erased; executions and statistics stay. A test that runs is stopped."""

    event_type = "campaign.deleted"

    deleted_at: UtcTime
