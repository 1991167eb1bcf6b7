"""POST /conversions and GET /conversions/:id."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Protocol

from contracts.tracking import MAX_TOKEN
from fastapi import APIRouter, Response
from pydantic import AfterValidator, Field
from service_kit.api.app import Editor, Viewer
from service_kit.api.envelope import RequestModel, ResponseModel, Success, UtcTime
from service_kit.api.idempotency import Answer, Once
from service_kit.api.types import ClientId, Moment, Name, PathId
from service_kit.errors import Detail, FieldErrors
from service_kit.ports import Transactions

from stats_service.application.record_conversion import ConversionTold, OfContact, Recorded
from stats_service.domain.conversion import MOST_VALUE, Conversion, amount_of
from stats_service.domain.errors import ConversionNotFound
from stats_service.entrypoints.errors import answers

GetConversion = Callable[[str, str], Awaitable[Conversion]]
"""(org, conversion) → the conversion."""


class Record(Protocol):
    """The use case."""

    async def __call__(self, told: ConversionTold, *, org: str, transactions: Transactions) -> Recorded:
        """What is recorded."""
        ...


def _exact(value: float) -> float:
    amount_of(value)
    return value


class ConversionIn(RequestModel):
    """A conversion, by the `clickId` that the landing page was given, or by `campaignId` and `contactId`."""

    click_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_TOKEN,
        description="What stood in the place of `{{clickId}}`.",
    )
    campaign_id: ClientId | None = None
    contact_id: ClientId | None = None
    value: Annotated[float, AfterValidator(_exact)] = Field(
        default=0, strict=True, ge=0, le=MOST_VALUE, description="Revenue; at most four decimals."
    )
    currency: str | None = Field(
        default=None, pattern="^[A-Z]{3}$", description="The organisation's, which is what it is without."
    )
    occurred_at: Moment | None = Field(
        default=None,
        description="Now without; at most 90 days ago. Within 5 minutes before the click is at the click.",
    )
    external_id: Name | None = Field(
        default=None, description="Your own id of the conversion, such as an order's number: it counts once."
    )

    def told(self) -> ConversionTold:
        """The same in the use case's words. Raises FieldErrors when it is not clear whose it is."""
        return ConversionTold(
            self._whose(), amount_of(self.value), self.currency, self.occurred_at, self.external_id
        )

    def _whose(self) -> str | OfContact:
        named = {"campaignId": self.campaign_id, "contactId": self.contact_id}
        given = [name for name, value in named.items() if value is not None]
        if self.click_id is not None:
            if given:
                raise _refused(given, "must not stand beside clickId")
            return self.click_id
        if self.campaign_id is not None and self.contact_id is not None:
            return OfContact(self.campaign_id, self.contact_id)
        if given:
            raise _refused(sorted(named.keys() - given), f"is needed beside {given[0]}")
        raise _refused(["clickId"], "is needed, or campaignId and contactId")


def _refused(fields: list[str], rule: str) -> FieldErrors:
    return FieldErrors(f"{fields[0]}: {rule}", details=[Detail(field, rule) for field in fields])


class ClickOut(ResponseModel):
    """The click that led to it."""

    execution_id: str
    message_id: str
    clicked_at: UtcTime


class ConversionOut(ResponseModel):
    """A conversion as it was recorded.

    Whether it counts is decided with the statistics: within the attribution window after the click, or
    else after the contact's latest click or message of this campaign; never in a test run.
    """

    id: str
    campaign_id: str
    contact_id: str | None = Field(description="Null once the contact was erased.")
    click: ClickOut | None
    value: float
    currency: str
    occurred_at: UtcTime
    external_id: str | None
    test_mode: bool
    recorded_at: UtcTime


class ConversionRecordedOut(ConversionOut):
    """A conversion as it was recorded, now or, with `duplicate`, before."""

    duplicate: bool = Field(
        description="Its `externalId` was known: this is the first one, nothing was added."
    )


def conversions_router(record: Record, get: GetConversion) -> APIRouter:
    """The routes, on the use cases."""
    router = APIRouter(prefix="/conversions", tags=["conversions"])

    @router.post(
        "",
        status_code=201,
        operation_id="recordConversion",
        response_model=Success[ConversionRecordedOut],
        responses={200: {"model": Success[ConversionRecordedOut]}},
    )
    async def post_conversion(body: ConversionIn, caller: Editor, once: Once) -> Response:
        """Tell of a conversion; with an `externalId` it counts once, however often it is told of.

        201 when it is new, 200 with the first one when its `externalId` was known.
        """
        told = body.told()
        return await once(
            lambda transactions: record(told, org=caller.org, transactions=transactions), answer=_answer
        )

    @router.get("/{conversion_id}", operation_id="getConversion", responses=answers(ConversionNotFound))
    async def get_one(conversion_id: PathId, caller: Viewer) -> Success[ConversionOut]:
        """The conversion as it was recorded."""
        return Success(data=ConversionOut(**_shown(await get(caller.org, conversion_id))))

    return router


def _answer(recorded: Recorded) -> Answer:
    shown = ConversionRecordedOut(**_shown(recorded.conversion), duplicate=recorded.duplicate)
    return Answer(200 if recorded.duplicate else 201, Success(data=shown))


def _shown(conversion: Conversion) -> dict[str, Any]:
    click = conversion.click
    return {
        "id": conversion.id,
        "campaign_id": conversion.campaign,
        "contact_id": conversion.contact,
        "click": click
        and ClickOut(execution_id=click.execution, message_id=click.message, clicked_at=click.at),
        "value": conversion.value,
        "currency": conversion.currency,
        "occurred_at": conversion.converted_at,
        "external_id": conversion.external_id,
        "test_mode": conversion.test_mode,
        "recorded_at": conversion.recorded_at,
    }
