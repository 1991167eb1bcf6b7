"""Bodies in and out of /webhooks."""

from typing import Annotated, Any

from contracts.envelope import UtcTime
from pydantic import AfterValidator, Field, JsonValue
from service_kit.api.envelope import Pagination, RequestModel, ResponseModel
from service_kit.api.merge_patch import MergePatch, patch_schema
from service_kit.api.types import ClientId, Description, ReadOnly, Text

from webhook_service.application.create_endpoint import Wish
from webhook_service.application.event_catalogue import EventTypeInfo
from webhook_service.application.event_types import EVENT_TYPES
from webhook_service.domain.endpoint import ALL_EVENTS, DisabledReason, Endpoint
from webhook_service.domain.headers import MASK
from webhook_service.domain.target import MAX_URL_LENGTH
from webhook_service.entrypoints.api.header_fields import HeadersIn


def known_event(value: str) -> str:
    """`value`, if it is a type that can be subscribed to. Raises ValueError."""
    if value not in EVENT_TYPES:
        raise ValueError(f"must be one of {', '.join(EVENT_TYPES)}")
    return value


EventType = Annotated[
    str, AfterValidator(known_event), Field(json_schema_extra={"enum": list[JsonValue](EVENT_TYPES)})
]
_Subscribed = Annotated[str, Field(json_schema_extra={"enum": [*EVENT_TYPES, ALL_EVENTS]})]


def _events(values: list[str]) -> list[str]:
    if ALL_EVENTS in values:
        if len(values) > 1:
            raise ValueError(f'"{ALL_EVENTS}" means every event and stands alone')
        return values
    return [known_event(value) for value in dict.fromkeys(values)]


def _once_each(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))


class CreateWebhook(RequestModel):
    """A subscription."""

    url: Annotated[Text, Field(min_length=1, max_length=MAX_URL_LENGTH)] = Field(
        examples=["https://example.com/hooks"]
    )
    events: Annotated[list[_Subscribed], Field(min_length=1, max_length=50), AfterValidator(_events)] = Field(
        examples=[["campaign.started", "campaign.completed"]]
    )
    campaign_ids: Annotated[list[ClientId], Field(max_length=100), AfterValidator(_once_each)] = Field(
        default_factory=list, description="Only the events of these campaigns; empty: of all."
    )
    description: Description = ""
    active: bool = True
    ordered: bool = Field(
        default=False, description="A campaign's events one at a time, each after the one before it."
    )
    headers: HeadersIn = Field(default_factory=dict)
    rate_limit: int | None = Field(
        default=None, strict=True, ge=1, le=1_000, description="Requests a second at most; null: no limit."
    )

    id: ReadOnly = None
    disabled_reason: ReadOnly = None
    failing_since: ReadOnly = None
    last_success_at: ReadOnly = None
    created_at: ReadOnly = None
    updated_at: ReadOnly = None

    def wish(self) -> Wish:
        """What the owner decides."""
        return Wish(
            url=self.url,
            events=tuple(self.events),
            campaign_ids=tuple(self.campaign_ids),
            description=self.description,
            active=self.active,
            ordered=self.ordered,
            headers=self.headers,
            rate_limit=self.rate_limit,
        )


class WebhookPatch(MergePatch):
    """What shall change of a subscription; headers merge one by one."""

    __get_pydantic_json_schema__ = classmethod(patch_schema(CreateWebhook))

    def wish(self, stored: Endpoint) -> Wish:
        """What the owner decides now. Raises RequestValidationError."""
        shown = Webhook.of(stored).model_dump(mode="json", by_alias=True, exclude_none=True)
        return self.over(shown, CreateWebhook).wish()


class Webhook(ResponseModel):
    """A subscription, without its secrets: of headers only the names are shown.

    `disabledReason`: why we switched it off: `GONE` (it answered 410) or `FAILING` (for days nothing
    succeeded). `failingSince`: the first failure since the last success.
    """

    id: str
    url: str
    events: list[str]
    campaign_ids: list[str]
    description: str
    active: bool
    ordered: bool
    headers: dict[str, str] = Field(examples=[{"Authorization": MASK}])
    rate_limit: int | None
    disabled_reason: DisabledReason | None
    failing_since: UtcTime | None
    last_success_at: UtcTime | None
    created_at: UtcTime
    updated_at: UtcTime

    @classmethod
    def of(cls, endpoint: Endpoint) -> "Webhook":
        """What clients see of `endpoint`."""
        return cls.model_validate(_shown(endpoint))


class CreatedWebhook(Webhook):
    """A new subscription: the only time that its secret is shown."""

    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    message: str = "Webhook created successfully"

    @classmethod
    def with_secret(cls, endpoint: Endpoint, secret: str) -> "CreatedWebhook":
        """What the creator sees."""
        return cls.model_validate({**_shown(endpoint), "secret": secret})


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "campaign_ids": list(endpoint.campaign_ids),
        "description": endpoint.description,
        "active": endpoint.active,
        "ordered": endpoint.ordered,
        "headers": dict.fromkeys(endpoint.headers, MASK),
        "rate_limit": endpoint.rate_limit,
        "disabled_reason": endpoint.disabled_reason,
        "failing_since": endpoint.failing_since,
        "last_success_at": endpoint.last_success_at,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


class WebhookList(ResponseModel):
    """A page of subscriptions."""

    webhooks: list[Webhook]
    pagination: Pagination


class RotatedSecret(ResponseModel):
    """A new signing secret: the only time that it is shown. The one before signs, too, until it expires."""

    id: str
    secret: str = Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    previous_expires_at: UtcTime

    @classmethod
    def of(cls, endpoint: Endpoint, secret: str) -> "RotatedSecret":
        """What the admin sees."""
        return cls.model_validate(
            {"id": endpoint.id, "secret": secret, "previous_expires_at": endpoint.secrets[1].expires_at}
        )


class EventTypeOut(ResponseModel):
    """An event type. `schema` (JSON Schema 2020-12) and `example` are of the whole body that is posted."""

    type: str
    description: str
    subscribable: bool = Field(description="False: not for `events`; it is sent on demand.")
    body_schema: dict[str, JsonValue] = Field(alias="schema")
    example: dict[str, JsonValue]

    @classmethod
    def of(cls, info: EventTypeInfo) -> "EventTypeOut":
        """What clients see."""
        return cls.model_validate(
            {
                "type": info.type,
                "description": info.description,
                "subscribable": info.subscribable,
                "schema": info.schema,
                "example": info.example,
            }
        )


class EventTypeList(ResponseModel):
    """Every event type."""

    event_types: list[EventTypeOut]


class Deleted(ResponseModel):
    """It is gone."""

    message: str = "Webhook deleted successfully"
