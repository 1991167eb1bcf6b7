"""Fixtures that give tests real Kafka, MongoDB and Redis.

Each part is, in this order: the server at KAFKA_BOOTSTRAP_SERVERS, MONGO_URL or REDIS_URL; a local
process of a stack of the tests' own (its folder and ports beside the developer's); a container, by
testcontainers, where this machine lacks what the local process needs (Java and Maven for Kafka) but
has Docker. What cannot be had fails the tests with the reason; it never skips them.
"""

import asyncio
import os
import secrets
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorDatabase
from service_kit.kafka.create_topics import create_topics_patiently

from devstack.settings import REPOSITORY, StackSettings
from devstack.stack import Stack

TEST_PORT_BASE = 14000
TRANSACTION_SECONDS = 5
"""Not the usual 20, which crash tests would wait for; no batch of a test takes as long."""
KAFKA_VARIABLES = {
    "KAFKA_NODE_ID": "1",
    "KAFKA_PROCESS_ROLES": "broker,controller",
    "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
    "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
    "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
    "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
    "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
}
PARTS = {"kafka": "KAFKA_BOOTSTRAP_SERVERS", "mongo": "MONGO_URL", "redis": "REDIS_URL"}


def local_parts(parts: set[str]) -> set[str]:
    """Those of `parts` that this machine can run as plain processes."""
    can_run_kafka = shutil.which("java") is not None and shutil.which("mvn") is not None
    return {part for part in parts if part != "kafka" or can_run_kafka}


def _settings(urls: dict[str, str]) -> StackSettings:
    """The tests' own stack; what `urls` has is not part of it."""
    base = int(os.environ.get("TEST_PORT_BASE", TEST_PORT_BASE))
    return StackSettings(
        stack_dir=REPOSITORY / ".stack" / f"integration-{base}",
        stack_port_base=base,
        gateway_port=base + 300,
        kafka_bootstrap_servers=urls.get("kafka"),
        mongo_url=urls.get("mongo"),
        redis_url=urls.get("redis"),
        stack_transaction_seconds=TRANSACTION_SECONDS,
    )


def _kafka_container(cleanup: ExitStack) -> str:
    """The address of a single-node Kafka in a container, which lives as long as `cleanup`.

    The official image's variables, so that any image that understands them will do.
    """
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - only where it is needed

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    container = DockerContainer(os.environ.get("KAFKA_IMAGE", "apache/kafka:4.3.0"))
    variables = KAFKA_VARIABLES | {"KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}"}
    for name, value in variables.items():
        container.with_env(name, value)
    cleanup.enter_context(container.with_bind_ports(9092, port))
    return f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def real_parts() -> Iterator[dict[str, str]]:
    """Part → URL, for kafka, mongo and redis."""
    urls = {part: os.environ[name] for part, name in PARTS.items() if os.environ.get(name)}
    missing = set(PARTS) - set(urls)
    local = local_parts(missing)
    with ExitStack() as cleanup:
        if "kafka" in missing - local:
            urls["kafka"] = _kafka_container(cleanup)
        if "kafka" in urls:
            asyncio.run(create_topics_patiently(urls["kafka"], replication_factor=1))
        if local:
            settings = _settings(urls)
            stack = Stack(settings, only=local)
            stack.up()
            cleanup.callback(stack.down)
            own = {
                "kafka": f"127.0.0.1:{settings.kafka_port}",
                "mongo": f"mongodb://127.0.0.1:{settings.mongo_port}/?directConnection=true",
                "redis": f"redis://127.0.0.1:{settings.redis_port}/0",
            }
            urls |= {part: own[part] for part in local}
        yield urls


@pytest.fixture(scope="session")
def kafka_bootstrap_servers(real_parts: dict[str, str]) -> str:
    """A real Kafka with the declared topics."""
    return real_parts["kafka"]


@pytest.fixture(scope="session")
def mongo_url(real_parts: dict[str, str]) -> str:
    """A real MongoDB server (replica set)."""
    return real_parts["mongo"]


@pytest.fixture(scope="session")
def redis_url(real_parts: dict[str, str]) -> str:
    """A real Redis."""
    return real_parts["redis"]


@pytest.fixture(scope="session")
async def mongo_client(mongo_url: str) -> AsyncIterator[AsyncIOMotorClient[dict[str, Any]]]:
    """One client for all tests."""
    client: AsyncIOMotorClient[dict[str, Any]] = AsyncIOMotorClient(
        mongo_url, tz_aware=True, w="majority", journal=True, serverSelectionTimeoutMS=5000
    )
    yield client
    client.close()


@pytest.fixture
async def mongo_database(
    mongo_client: AsyncIOMotorClient[dict[str, Any]],
) -> AsyncIterator[AsyncIOMotorDatabase[dict[str, Any]]]:
    """An empty database, gone after the test."""
    name = f"test_{secrets.token_hex(6)}"
    yield mongo_client[name]
    await mongo_client.drop_database(name)
