"""Metrics of campaign-service's own; the kit's come on top. No ids as labels."""

from prometheus_client import Counter, Histogram

CREATED = Counter("campaigns_created_total", "Campaigns created.")
STARTED = Counter("campaigns_executions_started_total", "Executions started.", ["mode"])
PREFLIGHT_SECONDS = Histogram(
    "campaigns_preflight_seconds",
    "Time until execution-service answered a preflight, or failed to.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2),
)
SCHEDULES = Counter(
    "campaigns_schedules_total", "Schedules found due: begun, failed, or left to others.", ["result"]
)
