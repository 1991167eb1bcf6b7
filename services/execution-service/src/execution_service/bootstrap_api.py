"""Puts the API process together."""

from collections.abc import Mapping

from service_kit.process import Part, api_part, run_process

from execution_service.bootstrap import Wiring
from execution_service.entrypoints.api.app import build_app
from execution_service.settings import Settings


def run_api(settings: Settings) -> None:
    """The HTTP API, until a signal comes."""
    made: list[Wiring] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = Wiring(settings)
        made.append(wiring)
        await wiring.prepare_audience()
        return {"api": api_part(build_app(wiring), settings), "stop": wiring.tell_of_stop}

    async def ready() -> bool:
        return bool(made) and await made[0].database_answers()

    async def close() -> None:
        for wiring in made:
            await wiring.close()

    run_process("execution-api", settings, prepare=prepare, ready=ready, close=close)
