"""What the numbers mean.

`sent` counts messages that Telegram answered definitely: delivered, or refused by Telegram. What
failed before it reached Telegram, was skipped, or has an unknown outcome is not sent.
"""

from dataclasses import dataclass, field
from fractions import Fraction

from stats_service.domain.facts import TallyRow

LOCAL_ERRORS = frozenset({"MESSAGE_TOO_LONG", "MESSAGE_EMPTY", "MISSING_FIELD", "NETWORK"})
"""Error codes of failures that happened on our side: Telegram gave no answer."""


@dataclass(slots=True)
class Counts:
    """Messages by outcome; `sent` is what Telegram answered definitely."""

    sent: int = 0
    delivered: int = 0
    failed: int = 0
    skipped: int = 0
    unknown: int = 0

    def add(self, row: TallyRow) -> None:
        """Count `row`."""
        if row.outcome == "successful":
            self.delivered += row.count
            self.sent += row.count
        elif row.outcome == "failed":
            self.failed += row.count
            self.sent += 0 if row.error in LOCAL_ERRORS else row.count
        elif row.outcome == "skipped":
            self.skipped += row.count
        else:
            self.unknown += row.count


def cost_of(sent: int, cost_per_message: float) -> float:
    """What so many messages cost: the number nearest to the exact product of the decimals as written."""
    return float(max(sent, 0) * Fraction(repr(cost_per_message)))


@dataclass(slots=True)
class Tasks:
    """Shards of a campaign's executions."""

    total: int = 0
    completed: int = 0
    failed: int = 0


@dataclass(slots=True)
class Numbers:
    """All numbers of one campaign, or an increment of them."""

    org: str
    counts: Counts = field(default_factory=Counts)
    tasks: Tasks = field(default_factory=Tasks)


@dataclass(frozen=True, slots=True)
class Overview:
    """A campaign's totals. Engagements nobody recorded are 0."""

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


def overview(counts: Counts) -> Overview:
    """The totals behind `counts`; no engagement has been recorded in them."""
    return Overview(
        messages_sent=counts.sent, delivered=counts.delivered, read=0, clicked=0, converted=0, revenue=0
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
