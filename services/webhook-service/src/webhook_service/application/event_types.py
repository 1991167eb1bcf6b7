"""The event types that may be subscribed to: every campaign event of the catalogue."""

from contracts.catalogue import CATALOGUE
from contracts.events.campaign import CampaignEvent

CAMPAIGN_EVENTS: dict[str, type[CampaignEvent]] = {
    name: model for name, model in sorted(CATALOGUE.items()) if issubclass(model, CampaignEvent)
}
EVENT_TYPES: tuple[str, ...] = tuple(CAMPAIGN_EVENTS)
TEST_EVENT = "webhook.test"
"""Sent on demand to one endpoint, whatever it subscribes to."""
