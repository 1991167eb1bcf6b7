"""What is checked before anything starts, and the topics that services need."""

import asyncio
import time
from collections.abc import Iterable

from devstack import probes, processes
from devstack.components import kafka
from devstack.errors import StackError
from devstack.program import Program
from devstack.settings import StackSettings

TOPICS_SECONDS = 30


def ports_free(programs: Iterable[Program]) -> None:
    """Raises StackError naming the first port that somebody else has, and the variable that moves it."""
    for program in programs:
        for variable, port in program.ports.items():
            if processes.is_taken(port):
                owner = processes.describe(processes.listener(port))
                raise StackError(
                    f"port {port} ({program.name}) is taken by {owner}",
                    mend=f"stop it, or choose another port: {variable}={port + 1000} make up",
                )


def given_urls(settings: StackSettings) -> None:
    """Raises StackError when a component that was given by URL does not answer."""
    given = (
        ("KAFKA_BOOTSTRAP_SERVERS", settings.kafka_bootstrap_servers, probes.kafka),
        ("MONGO_URL", settings.mongo_url, probes.mongo),
        ("REDIS_URL", settings.redis_url, probes.redis_ping),
    )
    for variable, url, probe in given:
        problem = probe(url)() if url else None
        if problem:
            raise StackError(
                f"{variable} was given, but what it names is not usable: {problem}",
                mend=f"correct {variable}, or leave it unset to have one started",
            )


def create_topics(settings: StackSettings) -> None:
    """Create the declared topics that are missing. Raises StackError when Kafka keeps refusing."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415 - most commands do not need the driver
    from service_kit.kafka.create_topics import create_topics as create  # noqa: PLC0415

    servers = kafka.bootstrap_servers(settings)
    deadline = time.monotonic() + TOPICS_SECONDS
    while True:
        try:
            asyncio.run(create(servers, replication_factor=settings.kafka_replication_factor))
        except (KafkaError, OSError) as error:
            # A broker that has just started may not know its controller yet.
            if time.monotonic() > deadline:
                raise StackError(
                    f"the topics could not be created on {servers}: {type(error).__name__}",
                    log=settings.log_of("kafka") if not settings.kafka_bootstrap_servers else None,
                    mend="look at the broker's log",
                ) from error
            time.sleep(0.2)
        else:
            return
