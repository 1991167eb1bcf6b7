"""Every Kafka topic of the system, declared once; the deploy step creates them, nothing else does."""

from dataclasses import dataclass

SERVICES = ("campaign-service", "execution-service", "stats-service", "webhook-service")


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and how it is created. `retention_ms` is how long a record stays readable."""

    name: str
    partitions: int = 12
    retention_ms: int = 7 * 24 * 3600 * 1000


CAMPAIGN_EVENTS = Topic("campaign-events", retention_ms=90 * 24 * 3600 * 1000)
EXECUTION_EVENTS = Topic("execution-events", retention_ms=90 * 24 * 3600 * 1000)
DELIVERY_EVENTS = Topic("delivery-events", retention_ms=90 * 24 * 3600 * 1000)
ENGAGEMENT_EVENTS = Topic("engagement-events", retention_ms=90 * 24 * 3600 * 1000)
AUDIENCE_EVENTS = Topic("audience-events", retention_ms=90 * 24 * 3600 * 1000)
STATISTICS_EVENTS = Topic("statistics-events")
WEBHOOK_EVENTS = Topic("webhook-events", retention_ms=90 * 24 * 3600 * 1000)


def dead_letter_topic(service: str) -> Topic:
    """The topic where `service` parks what it cannot handle, with the reason in the headers."""
    return Topic(f"{service}.dead-letter", partitions=1, retention_ms=30 * 24 * 3600 * 1000)


ALL_TOPICS: tuple[Topic, ...] = (
    CAMPAIGN_EVENTS,
    EXECUTION_EVENTS,
    DELIVERY_EVENTS,
    ENGAGEMENT_EVENTS,
    AUDIENCE_EVENTS,
    STATISTICS_EVENTS,
    WEBHOOK_EVENTS,
    *(dead_letter_topic(service) for service in SERVICES),
)
