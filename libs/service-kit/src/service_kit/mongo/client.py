"""The MongoDB client, and how its failures are told apart. Motor stays behind this package."""

from typing import Any

import motor.motor_asyncio
from pymongo.errors import (
    AutoReconnect,
    ExecutionTimeout,
    NetworkTimeout,
    NotPrimaryError,
    PyMongoError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
)

Document = dict[str, Any]
Client = motor.motor_asyncio.AsyncIOMotorClient[Document]
Database = motor.motor_asyncio.AsyncIOMotorDatabase[Document]
Collection = motor.motor_asyncio.AsyncIOMotorCollection[Document]
Session = motor.motor_asyncio.AsyncIOMotorClientSession

UNAVAILABLE: tuple[type[PyMongoError], ...] = (
    AutoReconnect,
    NetworkTimeout,
    NotPrimaryError,
    ServerSelectionTimeoutError,
    WaitQueueTimeoutError,
    ExecutionTimeout,
)
"""MongoDB is not there or too slow: the same operation may work later."""


def is_unavailable(error: BaseException) -> bool:
    """Whether `error` says that MongoDB is away, too slow, or asks for the transaction to be tried again."""
    return isinstance(error, UNAVAILABLE) or (
        isinstance(error, PyMongoError)
        and (error.timeout or error.has_error_label("TransientTransactionError"))
    )


def connect(url: str, *, timeout_ms: int) -> Client:
    """A client whose writes are acknowledged by a majority and journalled. Connects on first use.

    `timeout_ms` bounds finding a server, connecting and each answer.
    """
    return motor.motor_asyncio.AsyncIOMotorClient(
        url,
        w="majority",
        journal=True,
        tz_aware=True,
        retryWrites=True,
        serverSelectionTimeoutMS=timeout_ms,
        connectTimeoutMS=timeout_ms,
        socketTimeoutMS=max(timeout_ms, 1_000) * 4,
        waitQueueTimeoutMS=timeout_ms,
    )
