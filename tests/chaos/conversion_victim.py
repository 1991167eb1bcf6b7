"""A process that records a conversion and kills itself with SIGKILL on the way.

python conversion_victim.py <mongo url> <database> <tracking keys> <click id> <external id> written|told|committed
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from contracts.envelope import AnyEvent
from contracts.tracking import TrackingKeys
from service_kit.clock import SystemClock
from service_kit.mongo.client import connect
from service_kit.mongo.transactions import MongoTransactions
from service_kit.outbox.mongo_outbox import MongoOutbox
from service_kit.ports import Tx
from stats_service.adapters.mongo_conversions import MongoConversions
from stats_service.adapters.mongo_links import MongoLinks
from stats_service.adapters.mongo_numbers import MongoNumbers
from stats_service.application.record_conversion import ConversionTold, RecordConversion
from stats_service.domain.conversion import Conversion

T = TypeVar("T")


def die_at(point: str) -> None:
    if sys.argv[6] == point:
        os.kill(os.getpid(), signal.SIGKILL)


class Conversions(MongoConversions):
    """Dies when the row is written and not committed."""

    async def add(self, tx: Tx, conversion: Conversion) -> None:
        await super().add(tx, conversion)
        die_at("written")


class Outbox(MongoOutbox):
    """Dies when row and event are written and not committed."""

    async def add(self, tx: Tx, *events: AnyEvent) -> None:
        await super().add(tx, *events)
        die_at("told")


class Transactions(MongoTransactions):
    """Dies just after the commit: nobody hears of it."""

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        result = await super().run(work)
        die_at("committed")
        return result


async def main(url: str, name: str, keys: str, click_id: str, external_id: str) -> None:
    client, clock = connect(url, timeout_ms=5000), SystemClock()
    database = client[name]
    conversions = Conversions(database)
    record = RecordConversion(
        keys=TrackingKeys(keys), links=MongoLinks(database), campaigns=MongoNumbers(database), currencies=conversions,
        conversions=conversions, outbox=Outbox(database, clock=clock), clock=clock, pause=asyncio.sleep,
    )  # fmt: skip
    told = ConversionTold(click_id, 10_000, external_id=external_id)
    await record(told, org="acme", transactions=Transactions(client, timeout=10))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:6]))
