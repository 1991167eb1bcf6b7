"""Puts the consumer process together."""

from collections.abc import Mapping

from redis.asyncio import Redis
from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.adapters.redis_bell import RedisBell
from webhook_service.application.fan_out_event import FanOut
from webhook_service.bootstrap import Wiring
from webhook_service.entrypoints.subscriptions import subscriptions, together
from webhook_service.redis_client import redis_client
from webhook_service.settings import Settings

CONSUMER = "webhook-consumer"


async def fan_out(wiring: Wiring, redis: Redis) -> FanOut:
    """The consumer's use case."""
    return FanOut(
        transactions=wiring.transactions,
        inbox=await wiring.inbox(CONSUMER),
        endpoints=wiring.endpoints,
        deliveries=wiring.deliveries,
        bell=RedisBell(redis),
        clock=wiring.clock,
    )


def run_consumer() -> None:
    """Turn campaign events into deliveries."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))
    loops: list[ConsumerLoop] = []
    clients: list[Redis] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        clients.append(redis_client(settings))
        handler = await fan_out(wiring, clients[0])
        loop = wiring.consumer(subscriptions(handler), group=CONSUMER, together=together(handler))
        loops.append(loop)
        return {"consumer": loop.run}

    async def ready() -> bool:
        return all(loop.ready.is_set() for loop in loops) and await process.ready()

    async def close() -> None:
        for client in clients:
            await client.aclose()
        await process.close()

    run_process("webhook-consumer", settings, prepare=prepare, ready=ready, close=close)
