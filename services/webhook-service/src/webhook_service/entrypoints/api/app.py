"""The API process's app."""

from pathlib import Path

from fastapi import FastAPI
from service_kit.api.app import create_api
from service_kit.settings import ServiceSettings

from webhook_service.application.ports import ApiPorts
from webhook_service.entrypoints.api import delivery_routes
from webhook_service.entrypoints.api.routes import router
from webhook_service.entrypoints.errors import STATUSES


def build_app(ports: ApiPorts, settings: ServiceSettings) -> FastAPI:
    """The routes over `ports`."""
    app = create_api(
        title="webhook-service",
        routers=[router, delivery_routes.router],
        settings=settings,
        statuses=STATUSES,
        idempotency=ports.idempotency,
        examples=Path(__file__).with_name("examples"),
    )
    app.state.ports = ports
    return app
