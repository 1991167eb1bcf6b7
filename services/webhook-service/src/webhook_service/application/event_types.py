"""The event types that may be subscribed to: every campaign event of the catalogue."""

from contracts.catalogue import CATALOGUE
from contracts.events.campaign import CampaignEvent

EVENT_TYPES: tuple[str, ...] = tuple(
    sorted(name for name, model in CATALOGUE.items() if issubclass(model, CampaignEvent))
)
