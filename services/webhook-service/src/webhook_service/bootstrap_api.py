"""Puts the API process together."""

from collections.abc import Mapping

from redis.asyncio import Redis
from service_kit.process import Part, api_part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.adapters.redis_bell import RedisBell
from webhook_service.bootstrap import Wiring
from webhook_service.entrypoints.api.app import build_app
from webhook_service.redis_client import redis_client
from webhook_service.settings import Settings


def run_api() -> None:
    """Serve /webhooks."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))
    clients: list[Redis] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        clients.append(redis_client(settings))
        served = build_app(wiring.api_ports(RedisBell(clients[0])), settings)
        return {"api": api_part(served, settings)}

    async def close() -> None:
        for client in clients:
            await client.aclose()
        await process.close()

    run_process("webhook-api", settings, prepare=prepare, ready=process.ready, close=close)
