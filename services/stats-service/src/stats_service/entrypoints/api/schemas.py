"""The answers of the statistics API."""

from pydantic import Field
from service_kit.api.envelope import ResponseModel


class OverviewOut(ResponseModel):
    """Totals."""

    messages_sent: int = Field(description="Messages that Telegram answered definitely")
    delivered: int = Field(description="Messages that Telegram took")
    read: int
    clicked: int
    converted: int
    revenue: float


class PerformanceOut(ResponseModel):
    """Percent of the messages sent, one decimal."""

    delivery_rate: float = Field(examples=[96.5])
    read_rate: float
    click_rate: float
    conversion_rate: float


class StatisticsOut(ResponseModel):
    """A campaign's statistics."""

    overview: OverviewOut
    performance: PerformanceOut
