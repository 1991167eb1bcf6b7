"""The relay process: the same for every service that publishes."""

from collections.abc import Mapping

import stamina

from service_kit.mongo.client import is_unavailable
from service_kit.process import Part, run_process
from service_kit.settings import ServiceSettings
from service_kit.wiring import ServiceWiring


def run_relay(settings: ServiceSettings, *, service: str, process: str) -> None:
    """Publish the outbox of `service` until a signal comes; a database that is away is waited for."""
    made: list[ServiceWiring] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = ServiceWiring(settings, service=service)
        made.append(wiring)
        patiently = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=2)
        relay = await patiently(is_unavailable, wiring.relay, process)
        return {"relay": relay.run}

    async def ready() -> bool:
        return bool(made) and await made[0].database_answers()

    async def close() -> None:
        for wiring in made:
            await wiring.close()

    run_process(process, settings, prepare=prepare, ready=ready, close=close)
