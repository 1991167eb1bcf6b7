"""Puts the API process together."""

from collections.abc import Mapping

from service_kit.process import Part, api_part, run_process
from service_kit.wired_process import WiredProcess

from execution_service.bootstrap import Wiring
from execution_service.entrypoints.api.app import build_app
from execution_service.settings import Settings


def run_api(settings: Settings) -> None:
    """The HTTP API, until a signal comes."""
    process = WiredProcess(lambda: Wiring(settings))

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare_audience()
        return {"api": api_part(build_app(wiring), settings), "stop": wiring.tell_of_stop}

    run_process("execution-api", settings, prepare=prepare, ready=process.ready, close=process.close)
