"""A rate limit: evenly spaced, with a small burst. Pure: time comes from the caller."""

from dataclasses import dataclass

BURST_SECONDS = 0.1
"""What was not used is kept for so long: no second sees more than 1.1 times the rate."""


@dataclass(frozen=True, slots=True)
class Permits:
    """How many may go now, and after how many seconds the next one may."""

    granted: int
    wait_seconds: float


@dataclass(slots=True)
class TokenBucket:
    """`rate` a second. `free_at`: when the next one would be on time, in seconds of the caller's clock."""

    rate: float
    free_at: float = 0.0

    def take(self, wanted: int, now: float) -> Permits:
        """As many of `wanted` as may go at `now`."""
        spacing = 1 / self.rate
        earliest = max(self.free_at, now - max(BURST_SECONDS - spacing, 0.0))
        granted = 0
        while granted < wanted and earliest <= now:
            earliest += spacing
            granted += 1
        self.free_at = earliest
        return Permits(granted, max(0.0, earliest - now))
