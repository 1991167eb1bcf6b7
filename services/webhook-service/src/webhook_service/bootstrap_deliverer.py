"""Puts the deliverer process together: the only one with an HTTP client."""

import random
from collections.abc import Mapping

from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.adapters.http_client import HttpClient, trusting_the_system
from webhook_service.adapters.http_sender import HttpSender
from webhook_service.application.attempt_delivery import AttemptDelivery
from webhook_service.bootstrap import Wiring
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.settings import Settings


def attempt_delivery(wiring: Wiring, client: HttpClient) -> AttemptDelivery:
    """The deliverer's use case."""
    settings = wiring.own
    return AttemptDelivery(
        endpoints=wiring.endpoints,
        deliveries=wiring.deliveries,
        secrets=wiring.secrets,
        sender=HttpSender(client, targets=wiring.targets, seconds=settings.webhook_timeout_seconds),
        clock=wiring.clock,
        schedule=settings.webhook_retry_schedule_seconds,
        chance=lambda: random.uniform(-1, 1),  # noqa: S311 - jitter, not a secret
    )


def _pace(settings: Settings) -> Pace:
    return Pace(
        workers=settings.webhook_workers,
        per_endpoint=settings.webhook_per_endpoint,
        poll_seconds=settings.webhook_poll_seconds,
        lease_seconds=settings.webhook_lease_seconds,
        drain_seconds=settings.webhook_drain_seconds,
    )


def run_deliverer() -> None:
    """Send deliveries that are due."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))
    clients: list[HttpClient] = []
    running: list[Deliverer] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        client = HttpClient(
            lookup=wiring.lookup,
            allow_private=settings.webhook_allow_private_networks,
            idle=settings.webhook_workers,
            tls=trusting_the_system(),
        )
        clients.append(client)
        attempt = attempt_delivery(wiring, client)
        part = Deliverer(wiring.deliveries, attempt, clock=wiring.clock, pace=_pace(settings))
        running.append(part)
        return {"deliverer": part.run, "gauge": part.gauge}

    async def live() -> bool:
        return all([await part.is_alive() for part in running])

    async def close() -> None:
        for client in clients:
            client.close()
        await process.close()

    run_process(
        "webhook-deliverer",
        settings,
        prepare=prepare,
        ready=process.ready,
        live=live,
        close=close,
        drain_seconds=settings.webhook_drain_seconds + 2,
    )
