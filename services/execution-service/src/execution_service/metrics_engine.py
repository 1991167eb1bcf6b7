"""Metrics of planning and sending. No ids as labels."""

from collections import Counter as Tally
from collections.abc import Sequence

from prometheus_client import Counter, Histogram

from execution_service.domain.outcomes import Final

SENDS = Histogram(
    "campaigns_telegram_send_seconds",
    "Time of one request to Telegram, by what its answer meant.",
    ["result"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
RECIPIENTS = Counter("campaigns_recipients_total", "Contacts that got their outcome.", ["status", "code"])
GONE_BACK = Counter(
    "campaigns_recipients_back_total", "Contacts that went back to pending to be tried again."
)
WINDOWS = Counter("campaigns_windows_recorded_total", "Windows whose outcomes were stored.")
RATE_LIMITED = Counter("campaigns_telegram_rate_limited_total", "Answers 429 of Telegram.")
LEASES_LOST = Counter("campaigns_shard_leases_lost_total", "Shards that turned out to be another worker's.")
LIMITER_WAIT = Histogram(
    "campaigns_limiter_wait_seconds",
    "Time that a window waited for its slots.",
    buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
SLOTS_MISSED = Counter(
    "campaigns_limiter_slots_missed_total", "Slots that went by because a worker was late."
)


class PrometheusObserver:
    """Counts what the engine tells."""

    def __init__(self) -> None:
        self._sends: dict[str, Histogram] = {}

    def sent(self, result: str, seconds: float) -> None:
        """One request was answered (or not)."""
        known = self._sends.get(result)
        if known is None:
            known = self._sends[result] = SENDS.labels(result=result)
        known.observe(seconds)

    def recorded(self, finals: Sequence[Final], *, back: int) -> None:
        """A window was stored."""
        WINDOWS.inc()
        GONE_BACK.inc(back)
        for (status, code), count in Tally((item.status, item.code) for item in finals).items():
            RECIPIENTS.labels(status=status, code=code or "").inc(count)

    def rate_limited(self) -> None:
        """Telegram answered 429."""
        RATE_LIMITED.inc()

    def lease_lost(self) -> None:
        """A lease turned out to be another's."""
        LEASES_LOST.inc()

    def limiter_waited(self, seconds: float) -> None:
        """A runner waited for its turn."""
        LIMITER_WAIT.observe(seconds)

    def slots_missed(self, count: int) -> None:
        """So many slots went by unused because this process was late."""
        SLOTS_MISSED.inc(count)
