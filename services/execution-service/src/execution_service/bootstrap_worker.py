"""Puts sending together: the worker process. Nothing connects at import."""

import asyncio
from collections.abc import Mapping

from contracts.tracking import TrackingKeys
from redis.asyncio import Redis
from service_kit.clock import Clock
from service_kit.process import Part, owner_name, run_process
from service_kit.wired_process import WiredProcess

from execution_service.adapters.mongo_bot_waits import MongoBotWaits, MongoChatMoves
from execution_service.adapters.redis_limiter import RedisLimiter
from execution_service.adapters.telegram_bot_api import TelegramBotApi
from execution_service.application.count_window import CountWindow
from execution_service.application.counts import Counts
from execution_service.application.guard_execution import GuardExecution
from execution_service.application.keep_going import keep_going
from execution_service.application.keep_lease import KeepLease, RunPolicy
from execution_service.application.note_reach import NoteReach
from execution_service.application.ports_sending import Limiter, Observer
from execution_service.application.prepare_window import PrepareWindow
from execution_service.application.record_window import RecordWindow
from execution_service.application.run_shard import RunShard
from execution_service.application.run_turn import RunTurn
from execution_service.application.send_window import SendTiming, SendWindow
from execution_service.application.silence import Silence
from execution_service.application.tracking_links import TrackingLinks
from execution_service.application.turns import Turns
from execution_service.bootstrap import SERVICE
from execution_service.bootstrap_engine import EngineWiring
from execution_service.metrics_engine import PrometheusObserver
from execution_service.settings_engine import EngineSettings, WorkerSettings


class WorkerWiring(EngineWiring):
    """What workers have beside what the planner has, too: the links behind buttons."""

    engine_settings: WorkerSettings

    def __init__(
        self, settings: WorkerSettings, *, service: str = SERVICE, clock: Clock | None = None
    ) -> None:
        super().__init__(settings, service=service, clock=clock)
        self.links = TrackingLinks(
            TrackingKeys(settings.tracking_keys.get_secret_value()), base_url=settings.tracking_base_url
        )


class Worker:
    """The runners of one process and what they hold. Make it inside the event loop."""

    def __init__(self, wiring: WorkerWiring, *, owner: str) -> None:
        settings = wiring.engine_settings
        self._settings = settings
        self._owner = owner
        self.stopping = asyncio.Event()
        timeout = settings.redis_timeout_seconds
        self.redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(), socket_timeout=timeout, socket_connect_timeout=timeout
        )
        self.api = TelegramBotApi(
            settings.telegram_api_base_url,
            connect_seconds=settings.telegram_connect_seconds,
            answer_seconds=settings.telegram_answer_seconds,
            connections=settings.telegram_connections,
        )
        self.run_shard = self._wire(wiring)

    def _wire(self, wiring: WorkerWiring) -> RunShard:
        settings, clock, observer = self._settings, wiring.clock, PrometheusObserver()
        policy = _policy(settings)
        keep = KeepLease(wiring.shards, clock=clock, lease_seconds=policy.lease_seconds)
        return RunShard(
            executions=wiring.executions,
            shards=wiring.shards,
            turns=Turns(
                executions=wiring.executions,
                shards=wiring.shards,
                clock=clock,
                lease_seconds=policy.lease_seconds,
                look_seconds=settings.turn_seconds,
            ),
            ledger=wiring.ledger,
            turn=self._turn(wiring, keep, policy, observer),
            finish=wiring.finish,
            keep=keep,
            observer=observer,
            clock=clock,
            policy=policy,
            stopping=self.stopping,
        )

    def _turn(self, wiring: WorkerWiring, keep: KeepLease, policy: RunPolicy, observer: Observer) -> RunTurn:
        settings, clock, limiter = self._settings, wiring.clock, RedisLimiter(self.redis)
        silence = Silence(limiter=limiter, waits=MongoBotWaits(wiring.database), clock=clock)
        return RunTurn(
            senders=wiring.senders,
            limiter=limiter,
            silence=silence,
            hours=wiring.hours,
            prepare=PrepareWindow(wiring.contacts, wiring.recent_segments, wiring.links),
            count=CountWindow(
                settings=wiring.recent_settings,
                spending=wiring.spending,
                campaigns=wiring.campaign_spending,
                sends=wiring.recent_sends,
                transactions=wiring.transactions,
                clock=clock,
                reach_seconds=policy.lease_seconds,
            ),
            send=self._send(wiring, limiter, silence, observer),
            record=RecordWindow(
                shards=wiring.shards,
                ledger=wiring.ledger,
                transactions=wiring.transactions,
                outbox=wiring.outbox,
                clock=clock,
                observer=observer,
                counts=Counts(spending=wiring.spending, sends=wiring.recent_sends),
                lease_seconds=policy.lease_seconds,
            ),
            guard=_guard(wiring),
            reach=NoteReach(
                contacts=wiring.contacts,
                transactions=wiring.transactions,
                clock=clock,
                seconds=settings.reach_seconds,
            ),
            finish=wiring.finish,
            keep=keep,
            observer=observer,
            clock=clock,
            policy=policy,
            stopping=self.stopping,
        )

    def _send(
        self, wiring: EngineWiring, limiter: Limiter, silence: Silence, observer: Observer
    ) -> SendWindow:
        settings = self._settings
        return SendWindow(
            api=self.api,
            moves=MongoChatMoves(wiring.database),
            limiter=limiter,
            silence=silence,
            observer=observer,
            clock=wiring.clock,
            timing=SendTiming(
                patience_seconds=settings.shard_patience_seconds,
                drain_seconds=settings.drain_seconds,
            ),
            stopping=self.stopping,
        )

    async def run(self) -> None:
        """Run until cancelled; then let the windows under way end and be recorded."""
        runners = [
            asyncio.create_task(self._runner(number), name=f"runner-{number}")
            for number in range(self._settings.worker_runners)
        ]
        try:
            # Not gather: cancelled, it would cancel the runners in the middle of their windows.
            done, _ = await asyncio.wait(runners, return_when=asyncio.FIRST_COMPLETED)
            raise RuntimeError("a runner ended") from next(iter(done)).exception()
        except asyncio.CancelledError:
            self.stopping.set()
            await asyncio.wait(runners, timeout=self._settings.drain_seconds + 2)
            raise
        finally:
            for runner in runners:
                runner.cancel()

    async def _runner(self, number: int) -> None:
        owner = f"{self._owner}#{number}"

        async def turn() -> bool:
            return await self.run_shard.run_once(owner)

        await keep_going(
            turn,
            idle_seconds=self._settings.idle_seconds,
            retry_seconds=1.0,
            stopping=self.stopping,
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self.api.close()
        await self.redis.aclose()


def _guard(wiring: EngineWiring) -> GuardExecution:
    return GuardExecution(
        settings=wiring.recent_settings,
        executions=wiring.executions,
        shards=wiring.shards,
        ledger=wiring.ledger,
        transactions=wiring.transactions,
        outbox=wiring.outbox,
        clock=wiring.clock,
    )


def _policy(settings: EngineSettings) -> RunPolicy:
    return RunPolicy(
        window_size=settings.window_size,
        lease_seconds=settings.shard_lease_seconds,
        patience_seconds=settings.shard_patience_seconds,
        slice_seconds=settings.shard_slice_seconds,
        intent_seconds=settings.intent_seconds,
        reserve_seconds=settings.telegram_answer_seconds + 2,
        trust_seconds=settings.pause_seconds,
    )


def run_worker(settings: WorkerSettings) -> None:
    """Send, until a signal comes."""
    process = WiredProcess(lambda: WorkerWiring(settings))
    workers: list[Worker] = []

    async def prepare() -> Mapping[str, Part]:
        wiring = process.wire()
        worker = Worker(wiring, owner=owner_name("execution-worker"))
        workers.append(worker)
        await wiring.prepare_engine()
        return {"runners": worker.run}

    async def close() -> None:
        for worker in workers:
            await worker.close()
        await process.close()

    run_process(
        "execution-worker", settings, prepare=prepare, ready=process.ready, close=close,
        drain_seconds=settings.drain_seconds + 4,
    )  # fmt: skip
