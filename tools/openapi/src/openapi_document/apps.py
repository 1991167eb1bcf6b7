"""The four services' documents, from their apps. Nothing is connected to."""

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, cast

from campaign_service.application.parts import ApiParts
from campaign_service.entrypoints.api.app import create_app as campaign_app
from execution_service.bootstrap import Wiring as ExecutionWiring
from execution_service.entrypoints.api.app import build_app as execution_app
from execution_service.settings import Settings as ExecutionSettings
from service_kit.settings import ServiceSettings
from stats_service.bootstrap_api import ApiWiring as StatsWiring
from stats_service.bootstrap_api import build_api as stats_app
from stats_service.settings import ApiSettings as StatsSettings
from webhook_service.application.ports import ApiPorts
from webhook_service.entrypoints.api.app import build_app as webhook_app

# Values that settings ask for. No part is made or used that would read them.
_NOWHERE: dict[str, Any] = {
    "kafka_bootstrap_servers": "localhost:1",
    "mongo_url": "mongodb://localhost:1",
    "jwt_secret": "-" * 32,
    "max_body_bytes": ServiceSettings.model_fields["max_body_bytes"].default,
}
_MORE: dict[str, Any] = {
    "redis_url": "redis://localhost:1",
    "internal_token": "-" * 32,
    "encryption_keys": f"k1:{base64.b64encode(bytes(32)).decode()}",
}


class _NoParts:
    """In the place of a service's parts: an app is described without any."""

    def __getattr__(self, _name: str) -> None:
        return None


def documents() -> Mapping[str, dict[str, Any]]:
    """Service name → its OpenAPI document."""
    return asyncio.run(_documents())


async def _documents() -> Mapping[str, dict[str, Any]]:
    settings = ServiceSettings(**_NOWHERE)
    execution = ExecutionWiring(ExecutionSettings(**_NOWHERE, **_MORE))
    stats = StatsWiring(StatsSettings(**_NOWHERE, tracking_keys=_MORE["encryption_keys"]))
    try:
        return {
            "campaign": campaign_app(cast(ApiParts, _NoParts()), settings).openapi(),
            "execution": execution_app(execution).openapi(),
            "stats": stats_app(stats).openapi(),
            "webhook": webhook_app(cast(ApiPorts, _NoParts()), settings).openapi(),
        }
    finally:
        await execution.close()
        await stats.close()
