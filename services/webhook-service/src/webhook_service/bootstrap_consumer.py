"""Puts the consumer process together."""

from collections.abc import Mapping

from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, run_process

from webhook_service.bootstrap import CONSUMER
from webhook_service.bootstrap_process import Process
from webhook_service.entrypoints.subscriptions import subscriptions


def run_consumer() -> None:
    """Turn campaign events into deliveries."""
    process = Process()
    loops: list[ConsumerLoop] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = await process.wire()
        loop = wiring.consumer(subscriptions(await wiring.fan_out()), group=CONSUMER)
        loops.append(loop)
        return {"consumer": loop.run}

    async def ready() -> bool:
        return all(loop.ready.is_set() for loop in loops) and await process.ready()

    run_process("webhook-consumer", process.settings, prepare=prepare, ready=ready, close=process.close)
