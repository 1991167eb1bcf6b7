"""A process that makes a thing under an Idempotency-Key and kills itself with SIGKILL on the way.

python idempotency_victim.py <mongo url> <database> claimed|made|recorded|committed
"""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

from service_kit.idempotency.keys import Claim, KeyedRequest, Recorded
from service_kit.idempotency.mongo_keys import MongoIdempotencyKeys
from service_kit.idempotency.once import Idempotency
from service_kit.mongo.client import connect
from service_kit.mongo.transactions import MongoTransactions, session_of
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import FixedClock

T = TypeVar("T")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LOCK, KEEP, WAIT = 20, 86400, 1
REQUEST = KeyedRequest("acme", "k", "fingerprint")


def answered(name: str) -> Recorded:
    return Recorded(201, {}, name.encode())


def die_at(point: str) -> None:
    if sys.argv[3] == point:
        os.kill(os.getpid(), signal.SIGKILL)


class Keys(MongoIdempotencyKeys):
    """Dies between the record of the answer and the commit."""

    async def finish(self, tx: Tx, claim: Claim, answer: Recorded) -> None:
        await super().finish(tx, claim, answer)
        die_at("recorded")


class Committing(MongoTransactions):
    """Dies between the commit and the answer to the client."""

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        result = await super().run(work)
        die_at("committed")
        return result


async def main(url: str, database_name: str) -> None:
    client = connect(url, timeout_ms=5000)
    database = client[database_name]

    async def use_case(transactions: Transactions) -> str:
        async def work(tx: Tx) -> str:
            await database["things"].insert_one({"name": "victim"}, session=session_of(tx))
            die_at("made")
            return "victim"

        die_at("claimed")
        return await transactions.run(work)

    keys = Keys(database, clock=FixedClock(NOW), lock_seconds=LOCK, keep_seconds=KEEP, wait_seconds=WAIT)
    once = Idempotency(keys, Committing(client, timeout=10), release_seconds=1).once
    await once(REQUEST, use_case, answer=answered)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
