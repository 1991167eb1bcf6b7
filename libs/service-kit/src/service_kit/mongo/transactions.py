"""Transactions on MongoDB.

Mental model: one transaction, one session, one call of `work`. When the server says
TransientTransactionError (a write conflict, a fail-over) nothing was stored and all of `work` runs again;
when the commit's answer was lost, the commit alone is repeated. Both until `timeout` seconds.

A transaction that is not aborted keeps its locks until the server ends it, which takes 20 s. But who is
out of time, or cancelled, cannot wait for an abort. So giving up is a task with time of its own. The
session then goes back to the driver, and whoever takes it next begins a transaction with a greater
number: an operation of the old one that arrives even later is refused by the server.
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import pymongo
from motor.motor_asyncio import AsyncIOMotorClientSession
from pymongo.errors import PyMongoError

from service_kit.logging import get_logger
from service_kit.mongo.client import Client, Session
from service_kit.ports import Tx

T = TypeVar("T")
log = get_logger()


def session_of(tx: Tx) -> Session:
    """The driver's session behind `tx`, for adapters."""
    return cast(AsyncIOMotorClientSession, tx)


class MongoTransactions:
    """Runs work in transactions of `client`, giving up after `timeout` seconds with TimeoutError."""

    def __init__(self, client: Client, *, timeout: float) -> None:
        self._client = client
        self._timeout = timeout
        self._giving_up: set[asyncio.Task[None]] = set()

    async def run(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        """`work`'s answer, once committed."""
        pause = 0.002
        async with asyncio.timeout(self._timeout):
            with pymongo.timeout(self._timeout):  # the limit of its threads
                while True:
                    try:
                        return await self._attempt(work)
                    except PyMongoError as error:
                        if not error.has_error_label("TransientTransactionError"):
                            raise
                        await asyncio.sleep(pause)
                        pause = min(pause * 2, 0.1)

    async def _attempt(self, work: Callable[[Tx], Awaitable[T]]) -> T:
        session = await self._client.start_session()
        try:
            session.start_transaction()
            answer = await work(cast(Tx, session))
            await self._commit(session)
        except BaseException as error:
            given_up = self._give_up(session)
            if not isinstance(error, asyncio.CancelledError):
                await asyncio.shield(given_up)
            raise
        session.delegate.end_session()  # committed: no word to the server, so no thread
        return answer

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

    def _give_up(self, session: Session) -> "asyncio.Task[None]":
        # In an empty context: this one's time limit may have passed.
        task = asyncio.create_task(
            self._abort(session), name="transaction-abort", context=contextvars.Context()
        )
        self._giving_up.add(task)
        task.add_done_callback(self._giving_up.discard)
        return task

    async def _abort(self, session: Session) -> None:
        """End it on the server. The driver keeps quiet when that fails: then the server's limit ends it."""
        try:
            with pymongo.timeout(self._timeout):
                if session.delegate.in_transaction:
                    await session.abort_transaction()
                await session.end_session()
        except PyMongoError as error:
            log.warning("transaction.not_aborted", reason=type(error).__name__)
