"""The relay process: the same for every service that publishes."""

from collections.abc import Mapping

import stamina

from service_kit.mongo.client import is_unavailable
from service_kit.process import Part, run_process
from service_kit.settings import ServiceSettings
from service_kit.wired_process import WiredProcess
from service_kit.wiring import ServiceWiring


def run_relay(settings: ServiceSettings, *, service: str, process: str) -> None:
    """Publish the outbox of `service` until a signal comes; a database that is away is waited for."""
    running = WiredProcess(lambda: ServiceWiring(settings, service=service))

    async def prepare() -> Mapping[str, Part]:
        wiring = running.wire()
        patiently = stamina.AsyncRetryingCaller(attempts=None, timeout=None, wait_initial=0.2, wait_max=2)
        relay = await patiently(is_unavailable, wiring.relay, process)
        return {"relay": relay.run}

    run_process(process, settings, prepare=prepare, ready=running.ready, close=running.close)
