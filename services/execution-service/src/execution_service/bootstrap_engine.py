"""Puts planning together, and what planner and worker share. Nothing connects at import."""

from collections.abc import Callable, Mapping
from functools import partial

from contracts.envelope import EventData
from service_kit.clock import Clock
from service_kit.kafka.consumer import ConsumerLoop, Handler
from service_kit.ports import Inbox
from service_kit.process import Part, owner_name, run_process
from service_kit.wired_process import WiredProcess

from execution_service.adapters.mongo_executions import MongoExecutions
from execution_service.adapters.mongo_ledger import MongoLedger
from execution_service.adapters.mongo_ledger_pages import MongoLedgerPages
from execution_service.adapters.mongo_shards import MongoShards
from execution_service.application.accept_execution import accept_execution
from execution_service.application.await_hours import AwaitHours
from execution_service.application.cut_shards import CutShards
from execution_service.application.finish_execution import FinishExecution
from execution_service.application.keep_going import keep_going
from execution_service.application.note_campaign import note_campaign
from execution_service.application.open_senders import OpenSenders
from execution_service.application.plan_execution import PlanExecution
from execution_service.application.plan_retry import PlanRetry
from execution_service.application.recent_segments import RecentSegments
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.application.rouse_shards import RouseShards
from execution_service.application.steer_execution import SteerExecution
from execution_service.application.walk_audience import WalkAudience
from execution_service.bootstrap import (
    SERVICE,
    Wiring,
    estimate_part,
    fold_part,
    until_ready,
)
from execution_service.settings_engine import EngineSettings

SEGMENTS_SECONDS = 1.0
"""How long a window may go by an older definition of a segment: it only says in which one a send counts."""
Subscriptions = Callable[..., Mapping[type[EventData], Handler]]


class EngineWiring(Wiring):
    """What the planner and the workers share. Make it inside the event loop."""

    def __init__(
        self, settings: EngineSettings, *, service: str = SERVICE, clock: Clock | None = None
    ) -> None:
        super().__init__(settings, service=service, clock=clock)
        self.engine_settings = settings
        self.executions = MongoExecutions(self.database)
        self.shards = MongoShards(self.database)
        self.ledger = MongoLedger(self.database)
        self.pages = MongoLedgerPages(self.database)
        self.retried = RetriedContacts(executions=self.executions, shards=self.shards, pages=self.pages)
        self.hours = AwaitHours(settings=self.recent_settings, audience=self.contacts, clock=self.clock)
        self.recent_segments = RecentSegments(self.segments, keep_seconds=SEGMENTS_SECONDS)
        self.senders = OpenSenders(self.bots, keep_seconds=settings.bot_keep_seconds)
        self.finish = FinishExecution(
            executions=self.executions,
            shards=self.shards,
            transactions=self.transactions,
            outbox=self.outbox,
            clock=self.clock,
        )

    async def prepare_engine(self) -> None:
        """Create all indexes, as soon as the database is there."""
        await self.prepare_audience()
        for store in (self.executions, self.shards, self.ledger, self.recent_sends):
            await until_ready(store.prepare)


def make_planner(wiring: EngineWiring) -> PlanExecution:
    """The planning use case."""
    settings = wiring.engine_settings
    cut = CutShards(hours=wiring.hours, clock=wiring.clock, most=settings.shard_size)
    plan_retry = PlanRetry(
        retried=wiring.retried,
        executions=wiring.executions,
        shards=wiring.shards,
        cut=cut,
        transactions=wiring.transactions,
        clock=wiring.clock,
        lease_seconds=settings.plan_lease_seconds,
    )
    return PlanExecution(
        executions=wiring.executions,
        shards=wiring.shards,
        audience=WalkAudience(chunks=wiring.chunks, fold=wiring.fold, segments=wiring.segments),
        senders=wiring.senders,
        finish=wiring.finish,
        plan_retry=plan_retry,
        cut=cut,
        transactions=wiring.transactions,
        outbox=wiring.outbox,
        clock=wiring.clock,
        lease_seconds=settings.plan_lease_seconds,
    )


def make_steering(wiring: EngineWiring, inbox: Inbox) -> SteerExecution:
    """The use cases behind the events that steer executions."""
    return SteerExecution(
        executions=wiring.executions,
        shards=wiring.shards,
        senders=wiring.senders,
        finish=wiring.finish,
        campaigns=wiring.campaigns,
        marks=wiring.marks,
        inbox=inbox,
        transactions=wiring.transactions,
        clock=wiring.clock,
    )


async def make_consumer(wiring: EngineWiring, subscriptions: Subscriptions) -> ConsumerLoop:
    """The consumer of campaign events."""
    inbox = await wiring.inbox("execution-planner")
    handlers = subscriptions(
        note=partial(
            note_campaign,
            campaigns=wiring.campaigns,
            marks=wiring.marks,
            inbox=inbox,
            transactions=wiring.transactions,
        ),
        accept=partial(
            accept_execution,
            executions=wiring.executions,
            campaigns=wiring.campaigns,
            marks=wiring.marks,
            inbox=inbox,
            transactions=wiring.transactions,
            clock=wiring.clock,
        ),
        steer=make_steering(wiring, inbox),
    )
    return wiring.consumer(handlers, group=SERVICE)


def planner_parts(wiring: EngineWiring, consumer: ConsumerLoop) -> dict[str, Part]:
    """What the planner process does side by side."""
    settings = wiring.engine_settings
    planner, owner = make_planner(wiring), owner_name("execution-planner")
    rouse = RouseShards(
        executions=wiring.executions,
        shards=wiring.shards,
        settings=wiring.recent_settings,
        clock=wiring.clock,
    )
    loop = partial(
        keep_going, idle_seconds=settings.idle_seconds, retry_seconds=settings.consumer_retry_max_seconds
    )

    async def sweep() -> bool:
        await wiring.finish.sweep()
        await rouse.sweep()
        return False

    parts: dict[str, Part] = {
        "consumer": consumer.run,
        "fold": fold_part(wiring, process="execution-planner"),
        "estimates": estimate_part(wiring, process="execution-planner"),
        "sweep": partial(loop, sweep, idle_seconds=settings.sweep_seconds),
    }
    for number in range(settings.planners):
        parts[f"planner-{number}"] = partial(loop, partial(planner.run_once, f"{owner}#{number}"))
    return parts


def run_planner(settings: EngineSettings, subscriptions: Subscriptions) -> None:
    """Consume campaign events, plan executions, keep audiences counted, until a signal comes."""
    process = WiredProcess(lambda: EngineWiring(settings))
    consumers: list[ConsumerLoop] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        await wiring.prepare_engine()
        consumers.append(await make_consumer(wiring, subscriptions))
        return planner_parts(wiring, consumers[0])

    async def ready() -> bool:
        return bool(consumers) and consumers[0].ready.is_set() and await process.ready()

    run_process("execution-planner", settings, prepare=prepare, ready=ready, close=process.close)
