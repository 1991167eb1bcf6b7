"""Puts together what people start by hand: each job does one thing, says what it did, and ends."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial

from aiokafka.errors import KafkaError
from contracts.topics import ENGAGEMENT_EVENTS
from pymongo.errors import PyMongoError
from service_kit import logging
from service_kit.errors import Retryable
from service_kit.settings import load_settings

from stats_service.adapters.book_keys import book_of
from stats_service.adapters.kafka_log import KafkaLog
from stats_service.adapters.mongo_books import MongoBooks
from stats_service.adapters.mongo_ledger import MongoLedger
from stats_service.adapters.mongo_rebuilds import Maker, MongoMaking
from stats_service.application.ports_rebuild import Superseded
from stats_service.application.rebuild_book import NotRebuilt, Rebuild, Rebuilt
from stats_service.bootstrap import Wiring
from stats_service.bootstrap_reconcile import build_reconcile
from stats_service.domain.dimensions import Line
from stats_service.entrypoints.reconciliation import as_text
from stats_service.entrypoints.subscriptions import TOPICS
from stats_service.settings import Settings

PATIENT_MS = 20_000
"""A job can wait: longer than MongoDB lets the transaction of a process that died hold its documents."""


def run_rebuild(campaign: str) -> None:
    """Count `campaign` again; exit code 0, or 1 and why not."""
    _run("stats-rebuild", partial(_rebuild, campaign=campaign))


def run_reconcile() -> None:
    """Compare all numbers with a recount; exit code 0 when none differs."""
    _run("stats-reconcile", _reconcile)


async def _reconcile(wiring: Wiring) -> None:
    result = await build_reconcile(wiring, lambda: asyncio.sleep(0)).run()
    for campaign, differences in sorted(result.different.items()):
        sys.stdout.write(f"{campaign}\n")
        sys.stdout.writelines(f"  {as_text(difference)}\n" for difference in differences)
    sys.stdout.write(
        f"{result.equal} campaigns are as recounted, {len(result.different)} differ, "
        f"{result.skipped} could not be compared\n"
    )
    if result.different:
        sys.exit(1)


async def _rebuild(wiring: Wiring, *, campaign: str) -> None:
    maker = Maker(wiring.database, campaign)
    books = MongoBooks(wiring.database, wiring.transactions, maker)
    holding = await books.begin(campaign)
    if holding is None:
        sys.exit(f"error: there is no campaign {campaign}")
    log = KafkaLog(
        wiring.settings.kafka_bootstrap_servers, timeout_ms=wiring.settings.kafka_request_timeout_ms
    )
    following = holding.version + 1
    rebuild = Rebuild(
        campaign,
        holding,
        books=books,
        transactions=wiring.transactions,
        positions=MongoMaking(wiring.database, book_of(campaign, following), maker),
        ledger=MongoLedger(wiring.database, clock=wiring.clock, into={campaign: following}),
        live=wiring.positions,
        attribution=timedelta(days=wiring.settings.attribution_window_days),
    )
    _tell(campaign, await rebuild.run(partial(log.follow, TOPICS, first=ENGAGEMENT_EVENTS.name)))


def _tell(campaign: str, done: Rebuilt) -> None:
    lines = [f"{campaign}: version {done.version} of its numbers holds, of {done.facts} facts"]
    changed = sorted(
        key for key in {*done.before, *done.after} if done.before.get(key) != done.after.get(key)
    )
    lines += [f"  {_name(*key)}: {done.before.get(key, 0)} → {done.after.get(key, 0)}" for key in changed]
    if not changed:
        lines.append("  every number is as it was")
    sys.stdout.write("\n".join(lines) + "\n")


def _name(line: Line, metric: str) -> str:
    return " ".join(part for part in (*line, metric) if part)


def _run(name: str, job: Callable[[Wiring], Awaitable[None]]) -> None:
    """Do `job`; what it can fail of is one line on stderr, and exit code 1."""
    settings = load_settings(Settings).model_copy(update={"mongo_timeout_ms": PATIENT_MS})
    logging.configure(name, "WARNING")

    async def work() -> None:
        wiring = Wiring(settings)
        try:
            await wiring.prepare()
            await job(wiring)
        finally:
            await wiring.close()

    try:
        asyncio.run(work())
    except NotRebuilt as error:
        sys.exit(f"error: {error}; nothing has changed")
    except Superseded:
        sys.exit("error: somebody else counts it again")
    except (Retryable, TimeoutError, OSError, KafkaError, PyMongoError) as error:
        sys.exit(f"error: {type(error).__name__}: {error}; run it again")
