"""Puts the deliverer process together: the only one with an HTTP client."""

import random
from collections.abc import Mapping
from contextlib import AsyncExitStack
from datetime import timedelta

from redis.asyncio import Redis
from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.adapters.http_client import HttpClient, trusting_the_system
from webhook_service.adapters.http_sender import HttpSender
from webhook_service.adapters.redis_bell import listen
from webhook_service.adapters.redis_rates import RedisRates
from webhook_service.application.attempt_delivery import AttemptDelivery
from webhook_service.application.disable_endpoint import DisableEndpoint
from webhook_service.application.record_outcomes import RecordOutcomes
from webhook_service.application.take_deliveries import TakeDeliveries
from webhook_service.bootstrap import Wiring
from webhook_service.domain.health import BreakerRules
from webhook_service.entrypoints.deliverer import Deliverer, Pace
from webhook_service.redis_client import redis_client
from webhook_service.settings import Settings


def deliverer(wiring: Wiring, client: HttpClient, redis: Redis) -> Deliverer:
    """The loop and its use cases."""
    settings = wiring.own
    take = TakeDeliveries(
        endpoints=wiring.endpoints,
        deliveries=wiring.deliveries,
        limiter=RedisRates(redis),
        clock=wiring.clock,
        lease=timedelta(seconds=settings.webhook_lease_seconds),
    )
    attempt = AttemptDelivery(
        secrets=wiring.secrets,
        sender=HttpSender(client, targets=wiring.targets, seconds=settings.webhook_timeout_seconds),
        clock=wiring.clock,
        schedule=settings.webhook_retry_schedule_seconds,
        chance=lambda: random.uniform(-1, 1),  # noqa: S311 - jitter, not a secret
        patience=timedelta(seconds=settings.webhook_ordered_patience_seconds),
    )
    record = RecordOutcomes(
        endpoints=wiring.endpoints,
        deliveries=wiring.deliveries,
        disable=DisableEndpoint(wiring.transactions, wiring.endpoints, wiring.outbox, wiring.clock),
        clock=wiring.clock,
        rules=_rules(settings),
    )
    return Deliverer(wiring.deliveries, take, attempt, record, clock=wiring.clock, pace=_pace(settings))


def _rules(settings: Settings) -> BreakerRules:
    return BreakerRules(
        failures=settings.webhook_breaker_failures,
        first_seconds=settings.webhook_breaker_first_seconds,
        most_seconds=settings.webhook_breaker_most_seconds,
        disable_after=timedelta(days=settings.webhook_disable_after_days),
    )


def _pace(settings: Settings) -> Pace:
    return Pace(
        workers=settings.webhook_workers,
        per_endpoint=settings.webhook_per_endpoint,
        poll_seconds=settings.webhook_poll_seconds,
        request_seconds=settings.webhook_timeout_seconds,
        drain_seconds=settings.webhook_drain_seconds,
    )


def run_deliverer() -> None:
    """Send deliveries that are due."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))
    running: list[Deliverer] = []
    clients = AsyncExitStack()

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        await wiring.outbox.prepare()
        client = HttpClient(
            lookup=wiring.lookup,
            allow_private=settings.webhook_allow_private_networks,
            idle=settings.webhook_workers,
            tls=trusting_the_system(),
        )
        clients.callback(client.close)
        redis = redis_client(settings)
        clients.push_async_callback(redis.aclose)
        part = deliverer(wiring, client, redis)
        running.append(part)
        return {"deliverer": part.run, "gauge": part.gauge, "bell": lambda: listen(redis, part.hear)}

    async def live() -> bool:
        return all([await part.is_alive() for part in running])

    async def close() -> None:
        await clients.aclose()
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
