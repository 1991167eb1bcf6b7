"""Metrics that every process has. Names start with `campaigns_`; no ids as labels."""

from prometheus_client import Counter, Gauge, Histogram

REQUESTS = Histogram(
    "campaigns_http_request_seconds", "Time to answer a request.", ["method", "route", "status"]
)
EVENTS_HANDLED = Counter(
    "campaigns_events_handled_total", "Events taken from Kafka, by what became of them.", ["type", "result"]
)
EVENT_SECONDS = Histogram("campaigns_event_handle_seconds", "Time to handle an event.", ["type"])
EVENT_AGE = Histogram(
    "campaigns_event_age_seconds",
    "Age of an event when its effect was stored.",
    ["type"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
OUTBOX_PUBLISHED = Counter("campaigns_outbox_published_total", "Events published from the outbox.", ["type"])
OUTBOX_OLDEST = Gauge("campaigns_outbox_oldest_seconds", "Age of the oldest event that waits in the outbox.")
OUTBOX_WAITING = Gauge("campaigns_outbox_waiting", "Events that wait in the outbox.")
OUTBOX_HELD = Gauge("campaigns_outbox_held", "Events that wait behind one that Kafka refuses.")
OUTBOX_REFUSED = Counter("campaigns_outbox_refused_total", "Events that Kafka refuses for good.", ["type"])
OUTBOX_LEADER = Gauge("campaigns_outbox_leader", "1 while this relay holds the lease.")
