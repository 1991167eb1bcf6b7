"""What webhook-service says of its endpoints. Keyed by endpoint id."""

from typing import ClassVar, Literal

from contracts.envelope import EventData, UtcTime
from contracts.topics import WEBHOOK_EVENTS, Topic

DisabledReason = Literal["GONE", "FAILING"]
"""It answered 410; nothing has succeeded for days."""


class WebhookEndpointDisabled(EventData):
    """The service has switched an endpoint off; what waits for it is parked. `sequence` is its version."""

    event_type = "webhook.endpoint_disabled"
    topic: ClassVar[Topic] = WEBHOOK_EVENTS

    webhook_id: str
    reason: DisabledReason
    failing_since: UtcTime | None = None
    disabled_at: UtcTime
