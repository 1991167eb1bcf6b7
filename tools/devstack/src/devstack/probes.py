"""Is it healthy? A probe answers None when it is, else a short reason. Probes never raise.

Drivers are imported where they are used: together they cost a second of processor time, which commands
that never ask (`token`, `logs`) should not pay.
"""
# ruff: noqa: PLC0415

import asyncio
import logging
import socket
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException

Probe = Callable[[], str | None]
TIMEOUT_SECONDS = 2.0

# aiokafka logs every refused connection; here a refused connection is an ordinary answer.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def http(number: int, path: str, *, expected: int = 200) -> Probe:
    """Healthy when 127.0.0.1:`number` answers a GET of `path` with the status `expected`.

    The standard library's client, because `up` asks hundreds of times and httpx would load the
    certificates of the world each time.
    """

    def probe() -> str | None:
        connection = HTTPConnection("127.0.0.1", number, timeout=TIMEOUT_SECONDS)
        try:
            connection.request("GET", path)
            status = connection.getresponse().status
        except (OSError, HTTPException) as error:
            return f"port {number}{path}: {type(error).__name__}"
        finally:
            connection.close()
        return None if status == expected else f"port {number}{path}: {status}"

    return probe


def port(number: int) -> Probe:
    """Healthy when something on 127.0.0.1 accepts a connection."""

    def probe() -> str | None:
        try:
            socket.create_connection(("127.0.0.1", number), timeout=TIMEOUT_SECONDS).close()
        except OSError as error:
            return f"port {number}: {error.strerror or error}"
        return None

    return probe


def both(first: Probe, second: Probe) -> Probe:
    """Healthy when both are; the second is asked only then."""
    return lambda: first() or second()


def mongo(url: str) -> Probe:
    """Healthy when the server says that it is a writable member of a replica set."""

    def probe() -> str | None:
        import pymongo
        from pymongo.errors import PyMongoError

        try:
            with pymongo.MongoClient[dict[str, object]](url, serverSelectionTimeoutMS=2000) as client:
                hello = client.admin.command("hello")
        except PyMongoError as error:
            return f"mongo: {type(error).__name__}"
        if not hello.get("isWritablePrimary"):
            return "mongo: not the primary"
        return None if hello.get("setName") else "mongo: no replica set, so no transactions"

    return probe


def redis_ping(url: str) -> Probe:
    """Healthy when PING is answered."""

    def probe() -> str | None:
        import redis

        try:
            with redis.Redis.from_url(url, socket_timeout=TIMEOUT_SECONDS) as client:
                client.ping()
        except (redis.RedisError, ValueError) as error:
            return f"redis: {type(error).__name__}"
        return None

    return probe


def kafka(bootstrap_servers: str) -> Probe:
    """Healthy when the brokers list their topics."""

    async def ask() -> None:
        from aiokafka.admin import AIOKafkaAdminClient

        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=2000)
        try:
            await admin.start()
            await admin.list_topics()
        finally:
            await admin.close()

    def probe() -> str | None:
        from aiokafka.errors import KafkaError

        try:
            asyncio.run(asyncio.wait_for(ask(), timeout=2 * TIMEOUT_SECONDS))
        except (KafkaError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return f"kafka: {type(error).__name__}"
        return None

    return probe
