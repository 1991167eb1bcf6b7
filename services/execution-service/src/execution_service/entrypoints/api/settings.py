"""/settings: what holds for all campaigns of the organisation."""

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field
from service_kit.api.app import Admin
from service_kit.api.envelope import RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.etags import IfMatch, etag
from service_kit.api.merge_patch import MergePatch, patch_schema
from service_kit.api.quiet_hours import QuietHoursIn, QuietHoursOut
from service_kit.api.types import ReadOnly

from execution_service.application.change_settings import change_settings
from execution_service.domain.contact_fields import timezone as iana_timezone
from execution_service.domain.currencies import CURRENCIES
from execution_service.domain.errors import PreconditionFailed
from execution_service.domain.org_settings import (
    FrequencyCap,
    GuardRails,
    OrgSettings,
    QuietHours,
    TimezoneMode,
)
from execution_service.entrypoints.api.audience import Audience
from execution_service.entrypoints.errors import answers

_DEFAULT = OrgSettings("")
_MOST_ANSWERS = 500
"""A guard rail looks no further back."""


def _currency(value: str) -> str:
    if value not in CURRENCIES:
        raise ValueError("must be an ISO 4217 code in capitals, such as EUR")
    return value


class FrequencyCapIn(RequestModel):
    """At most so many messages to one contact, by all campaigns, in any so many hours."""

    messages: int = Field(strict=True, ge=1, le=1_000)
    hours: int = Field(strict=True, ge=1, le=720)


class GuardRailsIn(RequestModel):
    """An execution pauses by itself when more than `blockedPercent` of its last `blockedOf` answers say that
    the bot is blocked, or when its last `equalErrors` answers are all the same refusal of the content.
    """

    blocked_percent: float = Field(default=_DEFAULT.guard_rails.blocked_percent, strict=True, ge=0, le=100)
    blocked_of: int = Field(default=_DEFAULT.guard_rails.blocked_of, strict=True, ge=1, le=_MOST_ANSWERS)
    equal_errors: int = Field(default=_DEFAULT.guard_rails.equal_errors, strict=True, ge=1, le=_MOST_ANSWERS)


class SettingsIn(RequestModel):
    """All settings; what is not there is the default."""

    cost_per_message: float = Field(default=_DEFAULT.cost_per_message, strict=True, ge=0, le=1_000_000)
    currency: Annotated[str, AfterValidator(_currency)] = Field(
        default=_DEFAULT.currency, max_length=3, description="ISO 4217; amounts are in it."
    )
    frequency_cap: FrequencyCapIn | None = None
    quiet_hours: QuietHoursIn | None = None
    timezone: Annotated[str, AfterValidator(iana_timezone)] = Field(
        default=_DEFAULT.timezone,
        max_length=64,
        description="IANA; for contacts that have none, or for all with `timezoneMode` `org`.",
    )
    timezone_mode: TimezoneMode = Field(
        default=_DEFAULT.timezone_mode,
        description="Quiet hours on each contact's own clock, or on the organisation's for everybody.",
    )
    guard_rails: GuardRailsIn = Field(default_factory=GuardRailsIn)
    updated_at: ReadOnly = None

    def over(self, before: OrgSettings) -> OrgSettings:
        """The values in the place of those of `before`."""
        cap, quiet, rails = self.frequency_cap, self.quiet_hours, self.guard_rails
        return OrgSettings(
            before.org,
            cost_per_message=self.cost_per_message,
            currency=self.currency,
            frequency_cap=FrequencyCap(cap.messages, cap.hours) if cap else None,
            quiet_hours=QuietHours(quiet.from_, quiet.to) if quiet else None,
            timezone=self.timezone,
            timezone_mode=self.timezone_mode,
            guard_rails=GuardRails(rails.blocked_percent, rails.blocked_of, rails.equal_errors),
            updated_at=before.updated_at,
            version=before.version,
        )


class SettingsPatch(MergePatch):
    """What shall change; null makes it the default again."""

    __get_pydantic_json_schema__ = classmethod(patch_schema(SettingsIn, null="makes it the default again"))


class FrequencyCapOut(ResponseModel):
    """Messages in any so many hours."""

    messages: int
    hours: int


class GuardRailsOut(ResponseModel):
    """When an execution pauses by itself."""

    blocked_percent: float
    blocked_of: int
    equal_errors: int


class SettingsOut(ResponseModel):
    """The settings in force; `updatedAt` is null while they are the defaults."""

    cost_per_message: float
    currency: str
    frequency_cap: FrequencyCapOut | None
    quiet_hours: QuietHoursOut | None
    timezone: str
    timezone_mode: TimezoneMode
    guard_rails: GuardRailsOut
    updated_at: UtcTime | None


def settings_router(audience: Audience) -> APIRouter:
    """The routes over `audience`."""
    router = APIRouter(tags=["settings"])

    @router.get("/settings", operation_id="getSettings", responses=answers(headers=["ETag"]))
    async def get(caller: Admin, response: Response) -> Success[SettingsOut]:
        """The organisation's settings, the defaults where nothing was set."""
        settings = await audience.org_settings.of(caller.org)
        response.headers["ETag"] = etag(settings.version)
        return Success(data=_shown(settings))

    @router.put(
        "/settings", operation_id="updateSettings", responses=answers(PreconditionFailed, headers=["ETag"])
    )
    async def put(
        patch: SettingsPatch, caller: Admin, if_match: IfMatch, response: Response
    ) -> Success[SettingsOut]:
        """Change the settings (JSON Merge Patch). Executions that are running follow within seconds."""

        def revise(before: OrgSettings) -> OrgSettings:
            stored = _shown(before).model_dump(mode="json", by_alias=True, exclude_none=True)
            return patch.over(stored, SettingsIn).over(before)

        settings = await change_settings(
            caller.org,
            revise,
            versions=if_match,
            settings=audience.org_settings,
            outbox=audience.outbox,
            transactions=audience.transactions,
            clock=audience.clock,
        )
        response.headers["ETag"] = etag(settings.version)
        return Success(data=_shown(settings))

    return router


def _shown(settings: OrgSettings) -> SettingsOut:
    return SettingsOut.model_validate(settings, from_attributes=True)
