"""Puts the reconciliation together: for the aggregator every night, and by hand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from service_kit.mongo.lease import MongoLease
from service_kit.process import Part, owner_name

from stats_service.adapters.kafka_log import KafkaLog
from stats_service.adapters.mongo_written import MongoNights, MongoWrittenBooks
from stats_service.application.reconcile_books import Reconcile, Reconciled
from stats_service.application.reconcile_nightly import keeping, reconcile_nightly
from stats_service.bootstrap import Wiring
from stats_service.entrypoints.reconciliation import reconcile_for_ever
from stats_service.entrypoints.subscriptions import TOPICS


def build_reconcile(wiring: Wiring, breathe: Callable[[], Awaitable[None]]) -> Reconcile:
    """One comparison of all books."""
    settings = wiring.settings
    return Reconcile(
        TOPICS,
        log=KafkaLog(settings.kafka_bootstrap_servers, timeout_ms=settings.kafka_request_timeout_ms),
        positions=wiring.positions,
        books=MongoWrittenBooks(wiring.database),
        attribution=timedelta(days=settings.attribution_window_days),
        breathe=breathe,
    )


def build_reconciliation(wiring: Wiring) -> dict[str, Part]:
    """The loop that does it every night, unless it is never to be done."""
    settings, at = wiring.settings, wiring.settings.reconcile_time
    if at is None:
        return {}
    turn = MongoLease(
        wiring.database,
        name="reconciliation",
        owner=owner_name("stats-aggregator"),
        seconds=settings.reconcile_lease_seconds,
        clock=wiring.clock,
    )

    async def reconcile() -> Reconciled:
        every_seconds = settings.reconcile_lease_seconds / 3
        breathe = keeping(turn, every_seconds=every_seconds, clock=wiring.clock, pause=asyncio.sleep)
        return await build_reconcile(wiring, breathe).run()

    look = partial(
        reconcile_nightly,
        reconcile,
        at=at,
        nights=MongoNights(wiring.database),
        turn=turn,
        clock=wiring.clock,
    )
    return {"reconcile": lambda: reconcile_for_ever(look, every_seconds=settings.reconcile_poll_seconds)}
