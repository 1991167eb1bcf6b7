"""What is counted, and for whom: the vocabulary that writers and readers of numbers share.

Mental model: a campaign's numbers are a book. A book has lines, one for each dimension: the whole campaign,
a message (by variation), a segment, an error code. A line counts metrics: in total, by quarter of an hour
for ever, by minute for a few days. Every period, in every time zone, is a sum of whole buckets: the offsets
of all zones are multiples of a quarter of an hour.
"""

from enum import StrEnum
from typing import Final, NamedTuple

QUARTER_MINUTES: Final = 15
QUARTERS_A_DAY: Final = 96
MINUTES_A_DAY: Final = 1440
MONEY_UNITS: Final = 10_000
"""Money is counted in ten-thousandths, as whole numbers: sums do not depend on their order."""


class Kind(StrEnum):
    """The kinds of lines; the value is how a line's key begins."""

    ALL = "a"
    MESSAGE = "m"
    SEGMENT = "s"
    ERROR = "e"


class Line(NamedTuple):
    """A line of a book.

    `first` and `second` are message and variation ("": the message's own text), segment and "", or outcome
    and error code.
    """

    kind: Kind
    first: str = ""
    second: str = ""


ALL: Final = Line(Kind.ALL)


class Cell(NamedTuple):
    """Where something is counted: a metric of a line in a minute (UTC, since the epoch)."""

    minute: int
    line: Line
    metric: str


class Metric(StrEnum):
    """What lines count. ALL, MESSAGE and SEGMENT have all of them; ERROR has COUNT alone.

    Revenue is counted by currency: `revenue-<code>` (`revenue_in`).
    """

    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"
    READ = "read"
    CLICKED = "clicked"
    CLICKED_TOTAL = "clickedTotal"
    CONVERTED = "converted"
    CONVERTED_TOTAL = "convertedTotal"
    COUNT = "count"


REVENUE: Final = "revenue-"


def revenue_in(currency: str) -> str:
    """The metric that counts revenue in `currency`, in `MONEY_UNITS`ths."""
    return f"{REVENUE}{currency}"
