"""Time as a dependency, so that tests own it."""

from datetime import UTC, datetime
from time import time_ns
from typing import Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """The time in UTC, to the millisecond (what MongoDB keeps)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The time in UTC, to the millisecond."""
        return datetime.fromtimestamp(time_ns() // 1_000_000 / 1000, UTC)
