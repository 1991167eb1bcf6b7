"""The answers of the statistics API. What each number means in full: the service's README."""

from typing import Literal

from pydantic import Field
from service_kit.api.envelope import ResponseModel, Success

from stats_service.application.make_answer import Answer
from stats_service.domain.question import Part

Word = Literal["measured", "inferred", "reported", "calculated"]
PART = "Absent when `metrics` asks for other parts."


class OverviewOut(ResponseModel):
    """Totals of the period. Only the fields that `metrics` asks for, when it names some."""

    messages_sent: int = Field(default=0, description="Messages that Telegram answered definitely")
    delivered: int = Field(default=0, description="Messages that Telegram took")
    read: int = Field(default=0, description="Contacts whose first click or conversion was in the period")
    clicked: int = Field(default=0, description="Contacts whose first click was in the period")
    converted: int = Field(default=0, description="Contacts whose first conversion was in the period")
    revenue: float = Field(default=0, description="Of conversions in the organisation's currency")
    failed: int = Field(default=0, description="Messages that were not delivered, for a known reason")
    skipped: int = Field(default=0, description="Messages that were not tried, for a reason of the contact's")
    unknown: int = Field(default=0, description="Sent, but no answer came: delivered or not")
    clicked_total: int = Field(default=0, description="All clicks")
    converted_total: int = Field(default=0, description="All conversions")
    revenue_by_currency: dict[str, float] = Field(
        default_factory=dict, description="ISO 4217 code → revenue in it", examples=[{"EUR": 42500}]
    )


class PerformanceOut(ResponseModel):
    """Percent of the messages sent, one decimal; 0 when none was."""

    delivery_rate: float = Field(examples=[96.5])
    read_rate: float
    click_rate: float
    conversion_rate: float


class BucketOut(ResponseModel):
    """A minute (period 1h), an hour (24h) or a day of `timezone`; there without numbers, too."""

    date: str = Field(
        description="The day, or the time at which a shorter bucket begins",
        examples=["2024-06-01", "2024-06-01T10:00:00Z"],
    )
    sent: int
    delivered: int
    conversions: int = Field(description="Contacts whose first conversion was then; adds up to `converted`")
    read: int
    clicked: int
    revenue: float


class SegmentPerformanceOut(ResponseModel):
    """Messages to the segment's contacts, and what came of them in percent of these."""

    sent: int
    delivered: int
    click_rate: float
    conversion_rate: float


class SegmentOut(ResponseModel):
    """One of the audience's segments, or one that has numbers."""

    segment_id: str
    name: str = Field(description="Its last name; its id while no name is known")
    performance: SegmentPerformanceOut


class VariationPerformanceOut(SegmentPerformanceOut):
    """The same with the 95 % confidence intervals of the rates (Wilson's), in percent: [low, high]."""

    interval: tuple[float, float] = Field(description="Of `conversionRate`; [0, 100] when nothing was sent")
    click_interval: tuple[float, float] = Field(description="Of `clickRate`")


class VariationOut(ResponseModel):
    """A variation of a message."""

    message_id: str
    variation_id: str | None = Field(description="null: the message's own text")
    performance: VariationPerformanceOut


class ErrorOut(ResponseModel):
    """How many messages had this error."""

    outcome: Literal["failed", "skipped", "unknown"]
    code: str = Field(examples=["USER_BLOCKED"])
    count: int
    message: str


class CostOut(ResponseModel):
    """What the messages cost, at the present price."""

    total: float = Field(description="Of the period's messages: `perMessage` × `messagesSent`")
    per_message: float
    currency: str
    budget: float | None = Field(description="The campaign's whole budget; null: it has none")
    remaining: float | None = Field(
        description="The budget less the cost of all messages of all time; below 0: overspent"
    )


class MeasurementOut(ResponseModel):
    """Where each number comes from: `measured` (Telegram's answer, or a link that was followed through us),
    `inferred` (from a click or a conversion: Telegram tells nobody what is read), `reported` (by the
    organisation, as a conversion), `calculated` (from other numbers)."""

    messages_sent: Word
    delivered: Word
    read: Word
    clicked: Word
    converted: Word
    revenue: Word
    failed: Word
    skipped: Word
    unknown: Word
    clicked_total: Word
    converted_total: Word
    revenue_by_currency: Word
    cost: Word


class StatisticsOut(ResponseModel):
    """A campaign's statistics in a period."""

    overview: OverviewOut | None = Field(default=None, description=PART)
    performance: PerformanceOut | None = Field(default=None, description=PART)
    timeline: list[BucketOut] | None = Field(default=None, description=PART)
    segments: list[SegmentOut] | None = Field(default=None, description=PART)
    variations: list[VariationOut] | None = Field(default=None, description=PART)
    errors: list[ErrorOut] | None = Field(default=None, description=f"Most frequent first. {PART}")
    cost: CostOut | None = Field(default=None, description=PART)
    measurement: MeasurementOut


StatisticsAnswer = Success[StatisticsOut]


def encode(answer: Answer) -> bytes:
    """The answer as it is sent: the parts that it has, and of the overview what was asked for."""
    data = StatisticsOut.model_validate(answer, from_attributes=True)
    absent = {part.value for part in Part if getattr(answer, part) is None}
    body = StatisticsAnswer(success=True, data=data)
    return body.model_dump_json(by_alias=True, exclude_unset=True, exclude={"data": absent}).encode()
