"""Bodies in and out of /webhooks/:id/deliveries."""

from typing import Annotated, Any, Literal

from contracts.envelope import UtcTime
from pydantic import AfterValidator, Field, JsonValue
from service_kit.api.envelope import RequestModel, ResponseModel
from service_kit.api.types import Moment

from webhook_service.application.event_types import EVENT_TYPES, TEST_EVENT
from webhook_service.domain.delivery import Delivery
from webhook_service.domain.endpoint import Endpoint
from webhook_service.domain.headers import MASK

_SENT = (*EVENT_TYPES, TEST_EVENT)
CURSOR = r"^dlv_[0-9A-Z]{26}$"
StatusOut = Literal["pending", "parked", "succeeded", "failed"]


def _sent(value: str) -> str:
    if value not in _SENT:
        raise ValueError(f"must be one of {', '.join(_SENT)}")
    return value


SentType = Annotated[str, AfterValidator(_sent), Field(json_schema_extra={"enum": list[JsonValue](_SENT)})]


class RecoverIn(RequestModel):
    """Which deliveries wait again: those of events from `since` until before `until` (null: now)."""

    since: Moment
    until: Moment | None = None
    cursor: Annotated[str, Field(pattern=CURSOR)] | None = Field(
        default=None, description="`nextCursor` of the answer before, to go on."
    )


class RecoveredOut(ResponseModel):
    """How many deliveries wait again. `nextCursor`: there may be more, go on with it; null: that is all."""

    recovered: int
    next_cursor: str | None


class AttemptOut(ResponseModel):
    """One request to the subscriber; `error` is null when it succeeded."""

    at: UtcTime
    status_code: int | None
    duration_ms: int
    error: str | None


class DeliveryOut(ResponseModel):
    """One event for this subscription. `nextAttemptAt` is null when no attempt is planned.

    `parked`: not sent, since the webhook was switched off; kept for `POST /webhooks/:id/recover`.
    `campaignId` is null for a test. `responseBody`: the beginning (16 KiB) of the last answer.
    """

    id: str
    event: str
    event_id: str
    campaign_id: str | None
    status: StatusOut
    attempts: list[AttemptOut]
    next_attempt_at: UtcTime | None
    response_body: str | None
    created_at: UtcTime

    @classmethod
    def of(cls, delivery: Delivery) -> "DeliveryOut":
        """What clients see."""
        return cls.model_validate(cls._fields(delivery))

    @classmethod
    def _fields(cls, delivery: Delivery) -> dict[str, Any]:
        return {
            "id": delivery.id,
            "event": delivery.event_type,
            "event_id": delivery.event_id,
            "campaign_id": delivery.campaign_id or None,
            "status": delivery.status.value,
            "attempts": [
                AttemptOut(
                    at=item.at, status_code=item.status_code, duration_ms=item.duration_ms, error=item.error
                )
                for item in delivery.attempts
            ],
            "next_attempt_at": delivery.next_attempt_at,
            "response_body": delivery.response_body,
            "created_at": delivery.created_at,
        }


class RequestOut(ResponseModel):
    """What an attempt of now sends. `webhook-timestamp` and `webhook-signature` are each attempt's own; the
    values of the subscriber's own headers are masked. `body` is the text that is signed, to the byte.
    """

    url: str
    headers: dict[str, str]
    body: str


class DeliveryDetail(DeliveryOut):
    """A delivery with its request."""

    request: RequestOut

    @classmethod
    def with_request(cls, delivery: Delivery, endpoint: Endpoint) -> "DeliveryDetail":
        """What clients see."""
        headers = {
            **dict.fromkeys(endpoint.headers, MASK),
            "content-type": "application/json",
            "webhook-id": delivery.event_id,
        }
        request = RequestOut(url=endpoint.url, headers=headers, body=delivery.body.decode())
        return cls.model_validate({**cls._fields(delivery), "request": request})


class DeliveryList(ResponseModel):
    """A page of deliveries, newest first; `nextCursor` is null at the end."""

    deliveries: list[DeliveryOut]
    next_cursor: str | None
