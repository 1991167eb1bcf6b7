"""Puts the API process together."""

from collections.abc import Mapping

from service_kit.process import Part, api_part, run_process

from webhook_service.bootstrap_process import Process
from webhook_service.entrypoints.api.app import build_app


def run_api() -> None:
    """Serve /webhooks."""
    process = Process()

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wire()
        served = build_app(wiring.api_ports(), process.settings)
        return {"api": api_part(served, process.settings)}

    run_process("webhook-api", process.settings, prepare=prepare, ready=process.ready, close=process.close)
