"""Puts the consumer process together: event handlers and schedules."""

from collections.abc import Mapping
from functools import partial

from service_kit.kafka.consumer import ConsumerLoop
from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess
from service_kit.wiring import ServiceWiring

from campaign_service.adapters.mongo_campaigns import MongoCampaigns
from campaign_service.adapters.mongo_templates import MongoTemplates
from campaign_service.application.fire_schedules import fire_schedules
from campaign_service.application.parts import ConsumerParts
from campaign_service.bootstrap import PATIENTLY, SERVICE
from campaign_service.entrypoints.schedules import watch_schedules
from campaign_service.entrypoints.subscriptions import subscriptions
from campaign_service.settings import ConsumerSettings


async def consumer_parts(wiring: ServiceWiring) -> ConsumerParts:
    """The handlers' parts, the indexes made; waits for a database that starts later."""
    await PATIENTLY(wiring.outbox.prepare)
    campaigns = MongoCampaigns(wiring.database)
    await PATIENTLY(campaigns.prepare)
    return ConsumerParts(
        campaigns=campaigns,
        templates=MongoTemplates(wiring.database),
        transactions=wiring.transactions,
        inbox=await PATIENTLY(wiring.inbox, "campaign-consumer"),
        outbox=wiring.outbox,
        clock=wiring.clock,
    )


def run_consumer() -> None:
    """The event handlers and the schedules, until a signal comes."""
    settings = load_settings(ConsumerSettings)
    process = WiredProcess(lambda: ServiceWiring(settings, service=SERVICE))
    loops: list[ConsumerLoop] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        parts = await consumer_parts(wiring)
        loops.append(wiring.consumer(subscriptions(parts), group="campaign-consumer"))
        fire = partial(
            fire_schedules,
            campaigns=parts.campaigns,
            templates=parts.templates,
            transactions=parts.transactions,
            outbox=parts.outbox,
            clock=parts.clock,
        )
        schedules = partial(watch_schedules, fire, poll_seconds=settings.schedule_poll_seconds)
        return {"consumer": loops[0].run, "schedules": schedules}

    async def ready() -> bool:
        return all(loop.ready.is_set() for loop in loops) and await process.ready()

    run_process("campaign-consumer", settings, prepare=prepare, ready=ready, close=process.close)
