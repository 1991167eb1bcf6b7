"""Messages from Kafka through Faust, acknowledged by hand.

Mental model: Faust's agent does one thing, it puts raw messages into a bounded queue. Whoever takes them
acknowledges them after their effect is stored. Faust acknowledges a message when the agent's iteration
goes on, fails or is cancelled, so an agent that did the work itself would lose what it was working on;
`noack()` and an agent that cannot fail leave nothing to lose. Faust's offsets are a hint where to go on:
the truth is the position beside the numbers.
"""

import asyncio
import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import faust
from aiokafka.errors import KafkaError
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import WorkerThread
from service_kit.logging import get_logger

from stats_service.application.ports import Record

log = get_logger()


STOP_SECONDS = 3
TAKEN_BYTES = 8_000_000
WAITING_BYTES = 32_000_000


class LeavableThread(WorkerThread):
    """Faust's Kafka thread, without a say in when the process ends.

    The original blocks the event loop until the thread is done, for ever when it is joining its group,
    and as no daemon keeps the interpreter from exiting.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.daemon = True

    def stop(self) -> None:
        """Give the thread a moment."""
        self.is_stopped.wait(timeout=1)


class SourceEnded(Exception):
    """The consumer is gone; a fresh process is the remedy."""


class FaustSource:
    """Consumes `topics` as `group` until cancelled."""

    def __init__(
        self, topics: Sequence[str], *, bootstrap_servers: str, group: str, waiting: int, retry_seconds: float
    ) -> None:
        self._topics = topics
        self._brokers = [f"kafka://{server.strip()}" for server in bootstrap_servers.split(",")]
        self._group = group
        self._queue: asyncio.Queue[Any] = asyncio.Queue(maxsize=waiting)
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._retry_seconds = retry_seconds
        self._heard = monotonic()
        self.started = asyncio.Event()

    def silence(self) -> float:
        """Seconds since the last message came (or the source was made)."""
        return monotonic() - self._heard

    async def run(self) -> None:
        """Consume for ever; a broker that is away is waited for. Raises SourceEnded."""
        AIOKafkaConsumerThread.Worker = LeavableThread
        while True:
            for noisy, level in (("faust", "WARNING"), ("mode", "WARNING"), ("aiokafka", "CRITICAL")):
                logging.getLogger(noisy).setLevel(level)
            app = self._app()
            try:
                await app.start()
                if not app.crashed:
                    self.started.set()
                    await app.wait_until_stopped()
                    raise SourceEnded(repr(app.crash_reason))
                log.warning("source.waiting", reason=type(app.crash_reason).__name__)
            except (KafkaError, OSError) as error:
                log.warning("source.waiting", reason=type(error).__name__)
            finally:
                self.started.clear()
                await _stop(app)
            await asyncio.sleep(self._retry_seconds)

    async def take(self, most: int) -> list[Any]:
        """The next messages in order of arrival, at least one, at most `most`: what is there.

        And not much more than `TAKEN_BYTES` of them: they go into one transaction.
        """
        events = [await self._queue.get()]
        size = _size(events[0])
        while len(events) < most and size < TAKEN_BYTES and not self._queue.empty():
            events.append(self._queue.get_nowait())
            size += _size(events[-1])
        self._bytes -= size
        if self._bytes < WAITING_BYTES:
            self._room.set()
        return events

    @staticmethod
    def record(event: Any) -> Record:
        """The message in `event`."""
        message = event.message
        at_ms = round(message.timestamp * 1000)  # Faust makes seconds of it
        return Record(message.topic, message.partition, message.offset, message.key, message.value, at_ms)

    @staticmethod
    def acknowledge(events: Sequence[Any]) -> None:
        """Let Faust commit them, once their effect is stored."""
        for event in events:
            event.ack()

    def _app(self) -> Any:
        app = faust.App(
            self._group,
            broker=self._brokers,
            loop=asyncio.get_running_loop(),
            autodiscover=False,
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            store="memory://",
            datadir=Path(tempfile.gettempdir()) / f"{self._group}-faust",
            processing_guarantee="at_least_once",
            consumer_auto_offset_reset="earliest",
            key_serializer="raw",
            value_serializer="raw",
            broker_session_timeout=10.0,
            broker_heartbeat_interval=1.0,
            broker_commit_interval=1.0,
            stream_wait_empty=False,
        )

        async def enqueue(stream: Any) -> None:
            async for event in stream.noack().events():
                await self._room.wait()
                await self._queue.put(event)
                self._bytes += _size(event)
                if self._bytes >= WAITING_BYTES:
                    self._room.clear()
                self._heard = monotonic()

        topic = app.topic(*self._topics, key_type=bytes, value_type=bytes)
        app.agent(topic, name="enqueue", concurrency=1)(enqueue)
        return app


def _size(event: Any) -> int:
    return len(event.message.value or b"")


async def _stop(app: Any) -> None:
    """Stop in bounded time: nothing is lost by not stopping, so what Faust says of it is of no interest."""
    for noisy in ("faust", "mode"):
        logging.getLogger(noisy).setLevel("CRITICAL")
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await app.stop()
    except Exception as error:
        log.warning("source.not_stopped", reason=type(error).__name__)
