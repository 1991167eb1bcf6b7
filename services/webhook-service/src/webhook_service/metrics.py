"""This service's metrics; the README lists them."""

from prometheus_client import Counter, Gauge, Histogram

DELIVERIES_CREATED = Counter(
    "campaigns_webhook_deliveries_created_total", "Deliveries made from events.", ["type"]
)
ATTEMPTS = Counter(
    "campaigns_webhook_attempts_total", "Deliveries taken, by what became of the attempt.", ["result"]
)
ATTEMPT_SECONDS = Histogram(
    "campaigns_webhook_attempt_seconds",
    "From the request to the end of the answer.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
)
FIRST_ATTEMPT_AGE = Histogram(
    "campaigns_webhook_first_attempt_age_seconds",
    "Age of a delivery when its first attempt ended.",
    buckets=(0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
DUE = Gauge("campaigns_webhook_due_deliveries", "Deliveries that are due and not taken (counted to 10,000).")
IN_FLIGHT = Gauge("campaigns_webhook_in_flight_requests", "Requests to subscribers that are under way.")
PAUSED = Counter(
    "campaigns_webhook_pauses_total", "Pauses of endpoints that failed too often or asked for it."
)
DISABLED = Counter("campaigns_webhook_disabled_total", "Endpoints switched off by the service.", ["reason"])
