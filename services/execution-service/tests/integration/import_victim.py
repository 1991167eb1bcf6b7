"""A process that imports a file and kills itself with SIGKILL, before the commit of its third batch or after
that of its second.

python import_victim.py <mongo url> <database> <file> before|after
"""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from contracts.ids import new_id
from execution_service.adapters.mongo_imports import MongoImports
from execution_service.application.import_contacts import ReadLines
from execution_service.application.ports_import import ImportRecord
from execution_service.bootstrap import Wiring, import_contacts
from execution_service.entrypoints.api.contact_imports import fingerprint_of
from execution_service.entrypoints.api.lines import LineSplitter
from execution_service.entrypoints.api.ndjson import NdjsonReader
from execution_service.settings import Settings
from pydantic import SecretStr
from service_kit.mongo.transactions import MongoTransactions
from service_kit.ports import Tx

T = TypeVar("T")


class Dying(MongoImports):
    """Dies when the third batch is stored but for its commit."""

    batches = 0

    async def advance(self, tx: Tx, record: ImportRecord) -> None:
        await super().advance(tx, record)
        self.batches += 1
        if self.batches == 3:
            os.kill(os.getpid(), signal.SIGKILL)


class Committing(MongoTransactions):
    """Dies when the second batch is committed, before anybody hears of it."""

    batches = 0

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        result = await super().run(work)
        self.batches += 1
        if self.batches == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return result


async def main(url: str, database: str, data: bytes, point: str) -> None:
    settings = Settings(
        kafka_bootstrap_servers="unused",
        mongo_url=SecretStr(url),
        redis_url=SecretStr("redis://unused"),
        jwt_secret=SecretStr("a-secret-of-at-least-thirty-two-bytes"),
        encryption_keys=SecretStr("k1:a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="),
        internal_token=SecretStr("x"),
        import_lease_seconds=1,
    )
    wiring = Wiring(settings, service=database)
    if point == "before":
        wiring.imports = Dying(wiring.database, wait_seconds=1)
    else:
        wiring.import_transactions = Committing(wiring.client, timeout=10)
    use_case = import_contacts(wiring)
    fingerprint = fingerprint_of(NdjsonReader, data)
    begun = await use_case.begin("acme", "night", fingerprint=fingerprint, owner=new_id("own"))

    async def lines() -> AsyncIterator[ReadLines]:
        splitter, reader = LineSplitter(), NdjsonReader()
        yield reader.feed(splitter.feed(data)), len(data)
        await asyncio.Event().wait()  # the client never ends

    await use_case.run(begun, lines())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3]).read_bytes(), sys.argv[4]))
