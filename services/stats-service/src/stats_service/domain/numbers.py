"""What the numbers mean.

`sent` counts messages that Telegram answered definitely: delivered, or refused by Telegram. What
failed before it reached Telegram, was skipped, or has an unknown outcome is not sent.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from stats_service.domain.dimensions import Metric

LOCAL_ERRORS = frozenset({"MESSAGE_TOO_LONG", "MESSAGE_EMPTY", "MISSING_FIELD", "NETWORK"})
"""Error codes of failures that happened on our side: Telegram gave no answer."""


def cost_of(sent: int, cost_per_message: float) -> float:
    """What so many messages cost: the number nearest to the exact product of the decimals as written."""
    return float(max(sent, 0) * Fraction(repr(cost_per_message)))


@dataclass(frozen=True, slots=True)
class Overview:
    """A campaign's totals."""

    messages_sent: int
    delivered: int
    read: int
    clicked: int
    converted: int
    revenue: float


@dataclass(frozen=True, slots=True)
class Performance:
    """Percent of the messages sent, one decimal; 0 when none was sent."""

    delivery_rate: float
    read_rate: float
    click_rate: float
    conversion_rate: float


def overview(totals: Mapping[str, int]) -> Overview:
    """The totals of the whole campaign, by metric."""
    return Overview(
        messages_sent=max(totals.get(Metric.SENT, 0), 0),
        delivered=max(totals.get(Metric.DELIVERED, 0), 0),
        read=max(totals.get(Metric.READ, 0), 0),
        clicked=max(totals.get(Metric.CLICKED, 0), 0),
        converted=max(totals.get(Metric.CONVERTED, 0), 0),
        revenue=0,
    )


def performance(totals: Overview) -> Performance:
    """The rates of `totals`."""

    def rate(part: int) -> float:
        return round(100 * part / totals.messages_sent, 1) if totals.messages_sent else 0.0

    return Performance(
        delivery_rate=rate(totals.delivered),
        read_rate=rate(totals.read),
        click_rate=rate(totals.clicked),
        conversion_rate=rate(totals.converted),
    )
