"""The HTTP API of campaign-service."""

from pathlib import Path

from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.settings import ServiceSettings

from campaign_service.application.parts import ApiParts
from campaign_service.entrypoints.api import campaign_commands, campaigns, templates
from campaign_service.entrypoints.api.reference import add_reference
from campaign_service.entrypoints.errors import STATUSES


def create_app(parts: ApiParts, settings: ServiceSettings) -> FastAPI:
    """The HTTP API on `parts`."""
    app = create_api(
        title="campaign-service",
        routers=[campaigns.router, campaign_commands.router, templates.router],
        settings=settings,
        statuses=STATUSES,
        idempotency=parts.idempotency,
        examples=Path(__file__).with_name("examples"),
    )
    add_reference(app)
    app.state.parts = parts
    return app
