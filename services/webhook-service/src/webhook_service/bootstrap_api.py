"""Puts the API process together."""

from collections.abc import Mapping

from service_kit.process import Part, api_part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.bootstrap import Wiring
from webhook_service.entrypoints.api.app import build_app
from webhook_service.settings import Settings


def run_api() -> None:
    """Serve /webhooks."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        served = build_app(wiring.api_ports(), settings)
        return {"api": api_part(served, settings)}

    run_process("webhook-api", settings, prepare=prepare, ready=process.ready, close=process.close)
