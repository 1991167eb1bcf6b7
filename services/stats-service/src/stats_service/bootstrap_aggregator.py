"""Puts the aggregator process together: the only one with Faust."""

from collections.abc import Mapping
from datetime import timedelta
from functools import partial

from service_kit.kafka.consumer import RetryPolicy
from service_kit.process import Part, run_process
from service_kit.settings import load_settings
from service_kit.wired_process import WiredProcess

from stats_service.adapters.faust_source import FaustSource
from stats_service.adapters.kafka_log import KafkaLog
from stats_service.application.announce_statistics import announce_statistics
from stats_service.application.catch_up import CatchUp
from stats_service.application.fold_batch import fold_batches
from stats_service.application.ports import Record
from stats_service.bootstrap import SERVICE, Wiring
from stats_service.bootstrap_reconcile import build_reconciliation
from stats_service.entrypoints.aggregator import Aggregator
from stats_service.entrypoints.parts import announce_for_ever, catch_up_for_ever, fold_for_ever
from stats_service.entrypoints.patience import Progress
from stats_service.entrypoints.subscriptions import TOPICS
from stats_service.settings import Settings


def build_aggregator(wiring: Wiring, progress: Progress) -> tuple[FaustSource, dict[str, Part]]:
    """The aggregator's source and loops on `wiring`."""
    settings, dead_letters = wiring.settings, wiring.dead_letters()
    topics_log = KafkaLog(settings.kafka_bootstrap_servers, timeout_ms=settings.kafka_request_timeout_ms)

    async def park(record: Record, reason: str) -> None:
        await dead_letters.park(record, consumer=SERVICE, reason=reason)

    aggregator = Aggregator(
        partial(
            fold_batches,
            transactions=wiring.transactions,
            positions=wiring.positions,
            ledger=wiring.ledger,
            attribution=timedelta(days=settings.attribution_window_days),
        ),
        positions=wiring.positions,
        topics_log=topics_log,
        park=park,
        clock=wiring.clock,
        retry=RetryPolicy(
            first_seconds=settings.consumer_retry_seconds,
            most_seconds=settings.consumer_retry_max_seconds,
            max_attempts=settings.consumer_max_attempts,
        ),
        progress=progress,
    )
    source = FaustSource(
        TOPICS,
        bootstrap_servers=settings.kafka_bootstrap_servers,
        group=SERVICE,
        waiting=settings.source_waiting,
        retry_seconds=settings.consumer_retry_seconds,
    )
    catch_up = CatchUp(
        TOPICS,
        log=topics_log,
        positions=wiring.positions,
        transactions=wiring.transactions,
        fill=aggregator.fill,
    )
    announce = partial(
        announce_statistics,
        transactions=wiring.transactions,
        announcements=wiring.numbers,
        prices=wiring.numbers,
        outbox=wiring.outbox,
        clock=wiring.clock,
        every_seconds=settings.announce_seconds,
        limit=settings.announce_limit,
        at_once=settings.announce_at_once,
    )
    return source, {
        "faust": source.run,
        "fold": lambda: fold_for_ever(source, aggregator, most=settings.fold_batch),
        "catch-up": lambda: catch_up_for_ever(
            catch_up.look,
            silence=source.silence,
            every_seconds=settings.catch_up_seconds,
            silent_seconds=settings.source_silent_seconds,
            progress=progress,
        ),
        "announce": lambda: announce_for_ever(
            lambda: aggregator.between_batches(announce),
            every_seconds=settings.announce_poll_seconds,
            retry_seconds=settings.consumer_retry_seconds,
        ),
        **build_reconciliation(wiring),
    }


def run_aggregator() -> None:
    """Fold events and announce statistics until a signal comes."""
    settings, progress = load_settings(Settings), Progress()
    process = WiredProcess(lambda: Wiring(settings))
    source: FaustSource | None = None

    async def prepare() -> Mapping[str, Part]:
        nonlocal source
        wiring = process.wire()
        await wiring.prepare()
        source, parts = build_aggregator(wiring, progress)
        return parts

    async def ready() -> bool:
        return source is not None and source.started.is_set() and await process.ready()

    async def live() -> bool:
        return source is None or progress.within(settings.live_seconds)

    run_process("stats-aggregator", settings, prepare=prepare, ready=ready, live=live, close=process.close)
