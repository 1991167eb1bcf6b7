"""A relay that kills itself with SIGKILL at one step of its work.

python relay_victim.py <mongo url> <database> <kafka> <name> before|after <number>
"""

import asyncio
import os
import sys

from service_kit.clock import SystemClock
from service_kit.mongo.client import connect
from service_kit.mongo.lease import MongoLease
from service_kit.outbox.relay import Relay
from service_kit.outbox.waiting_rows import MongoWaitingRows
from service_kit.testing.relay_fakes import FaultyStep, SteppingPublisher, Stepwise, kill_myself


async def main(mongo_url: str, database_name: str, kafka: str, name: str, when: str, number: str) -> None:
    database = connect(mongo_url, timeout_ms=5_000)[database_name]
    clock, step = SystemClock(), FaultyStep((name, when, int(number)), end=kill_myself)
    lease = MongoLease(database, name="relay", owner=str(os.getpid()), seconds=0.5, clock=clock)
    await Relay(
        Stepwise(MongoWaitingRows(database, clock=clock), step),  # type: ignore[arg-type]
        publisher=SteppingPublisher(kafka, step=step),
        lease=Stepwise(lease, step),  # type: ignore[arg-type]
        clock=clock,
        batch=8,
        poll_seconds=0.01,
        retry_seconds=0.05,
    ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
