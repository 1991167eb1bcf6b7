"""Puts the consumer process together."""

from collections.abc import Mapping

from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from webhook_service.bootstrap import CONSUMER, Wiring
from webhook_service.entrypoints.subscriptions import subscriptions
from webhook_service.settings import Settings


def run_consumer() -> None:
    """Turn campaign events into deliveries."""
    settings = load_settings(Settings)
    process = WiredProcess(lambda: Wiring(settings))
    loops: list[ConsumerLoop] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare()
        loop = wiring.consumer(subscriptions(await wiring.fan_out()), group=CONSUMER)
        loops.append(loop)
        return {"consumer": loop.run}

    async def ready() -> bool:
        return all(loop.ready.is_set() for loop in loops) and await process.ready()

    run_process("webhook-consumer", settings, prepare=prepare, ready=ready, close=process.close)
