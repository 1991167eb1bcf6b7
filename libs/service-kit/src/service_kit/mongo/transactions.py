"""Transactions on MongoDB.

Mental model: one session, one transaction, one call of `work`. When the server says
TransientTransactionError (a write conflict, a fail-over) nothing was stored and all of `work` runs
again; when the commit's answer was lost, the commit alone is repeated. Both until `timeout` seconds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.errors import PyMongoError

from service_kit.mongo.client import Client, Session
from service_kit.ports import Tx

T = TypeVar("T")


def session_of(tx: Tx) -> Session:
    """The driver's session behind `tx`, for adapters."""
    return cast(AsyncIOMotorClientSession, tx)


class MongoTransactions:
    """Runs work in transactions of `client`, giving up after `timeout` seconds with TimeoutError."""

    def __init__(self, client: Client, *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """`work`'s answer, once committed."""
        pause = 0.002
        async with asyncio.timeout(self._timeout), await self._client.start_session() as session:
            while True:
                try:
                    async with session.start_transaction():
                        answer = await work(cast(Tx, session))
                        await self._commit(session)
                    return answer
                except PyMongoError as error:
                    if not error.has_error_label("TransientTransactionError"):
                        raise
                    await asyncio.sleep(pause)
                    pause = min(pause * 2, 0.1)

    async def _commit(self, session: Session) -> None:
        """Commit; repeat it while its result is unknown (repeating a commit that worked is harmless)."""
        while True:
            try:
                await session.commit_transaction()
                return
            except PyMongoError as error:
                if not error.has_error_label("UnknownTransactionCommitResult"):
                    raise
                await asyncio.sleep(0.05)
