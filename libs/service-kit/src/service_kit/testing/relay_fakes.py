"""In-memory stand-ins for the relay's parts, and deaths at chosen steps. For tests only."""

import os
import signal
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, NoReturn, TypeVar

from aiokafka.errors import KafkaConnectionError

from service_kit.kafka.producer import KafkaPublisher, NotSent, RecordRefused
from service_kit.outbox.waiting_rows import Backlog, Page, Row
from service_kit.testing.fakes import Died

T = TypeVar("T")
Step = Callable[[str, Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Runs a named call, now or later, or dies."""


class InMemoryWaitingRows:
    """The outbox from the relay's side; `rows` and `closed` are its state."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.closed: dict[str, str] = {}

    def put(self, *rows: Row) -> None:
        """Let `rows` wait."""
        self.rows |= {row.id: row for row in rows}

    async def page(self, limit: int, *, after: str | None, closed: frozenset[str]) -> Page:
        """The oldest rows behind `after`, and what their keys have before them."""
        ids = sorted(row.id for row in self.rows.values() if row.key not in closed and row.id > (after or ""))
        last: dict[str, tuple[int, str]] = {}
        for row in (self.rows[row_id] for row_id in ids[:limit]):
            last[row.key] = max(last.get(row.key, (0, "")), (row.sequence, row.id))
        found = [row for row in self.rows.values() if (row.sequence, row.id) <= last.get(row.key, (-1, ""))]
        ordered = sorted(found, key=lambda row: (row.key, row.sequence, row.id))
        return Page(tuple(ordered[: limit * 2]), ids[limit - 1] if len(ids) >= limit else None)

    async def remove(self, ids: Sequence[str]) -> None:
        """Forget rows."""
        for row_id in ids:
            self.rows.pop(row_id, None)

    async def close_key(self, row: Row, reason: str) -> None:
        """Note the refusal."""
        self.closed.setdefault(row.key, reason)

    async def backlog(self) -> Backlog:
        """What waits."""
        held = sum(row.key in self.closed for row in self.rows.values())
        return Backlog(len(self.rows) - held, held, frozenset(self.closed))


class InMemoryLease:
    """One lease; `holder` may be set to let somebody else have it."""

    def __init__(self, seconds: float = 5) -> None:
        self.seconds = seconds
        self.holder: str | None = None
        self.epoch = 1

    async def acquire(self) -> int | None:
        """The epoch, unless somebody else has it."""
        return self.epoch if self.holder is None else None

    async def release(self) -> None:
        """Nothing to do: there is one owner."""


def die() -> NoReturn:
    """End as far as a test's own process can."""
    raise Died


def kill_myself() -> NoReturn:
    """End for real."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("SIGKILL was survived")


class FaultyStep:
    """Dies before or after the nth call that goes through it; counts the calls."""

    def __init__(
        self, die_at: tuple[str, str, int] | None = None, *, end: Callable[[], NoReturn] = die
    ) -> None:
        self.calls: dict[str, int] = {}
        self._die_at = die_at
        self._end = end

    def points(self) -> list[tuple[str, str, int]]:
        """Every place where the run that it has seen could die."""
        return [
            (name, when, number)
            for name, count in self.calls.items()
            for when in ("before", "after")
            for number in range(1, count + 1)
        ]

    async def __call__(self, name: str, call: Callable[[], Awaitable[T]]) -> T:
        """`call`'s answer, unless this is where it dies. `die_at` is (name, "before" or "after", number)."""
        number = self.calls[name] = self.calls.get(name, 0) + 1
        if self._die_at == (name, "before", number):
            self._end()
        answer = await call()
        if self._die_at == (name, "after", number):
            self._end()
        return answer


class FakeKafka:
    """Kafka as the relay sees it: keeps what arrives; refuses and fails what it is told to."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.refused: set[bytes] = set()
        self.failing: set[bytes] = set()

    def firsts(self) -> dict[str, list[int]]:
        """Sequences per key, each where it arrived first."""
        seen: dict[str, list[int]] = defaultdict(list)
        for value in self.values:
            key, sequence = value.decode().split("/")
            if int(sequence) not in seen[key]:
                seen[key].append(int(sequence))
        return dict(seen)


class StepwisePublisher:
    """Sends one record after the other into `log`, each a step of its own."""

    def __init__(self, log: FakeKafka, step: Step) -> None:
        self._log = log
        self._step = step

    async def publish(
        self, records: Sequence[tuple[str, str, bytes]], may_go_on: Callable[[], bool]
    ) -> list[BaseException | None]:
        """Send; as the real one, nothing of a key behind a failure."""
        answers: list[Any] = []
        broken: set[str] = set()
        for _, key, value in records:
            answer: Any = NotSent()
            if key not in broken and may_go_on():
                answer = await self._step("publish", partial(self._send, value))
            if answer is not None:
                broken.add(key)
            answers.append(answer)
        return answers

    async def _send(self, value: bytes) -> BaseException | None:
        if value in self._log.refused:
            return RecordRefused("MessageSizeTooLargeError")
        if value in self._log.failing:
            error: BaseException = KafkaConnectionError()
            return error
        self._log.values.append(value)
        return None


class SteppingPublisher(KafkaPublisher):
    """The real one; `publish`, and each batch that it hands over (after: on its way), is a step."""

    def __init__(self, bootstrap_servers: str, *, step: Step) -> None:
        super().__init__(bootstrap_servers, client_id="stepping", timeout_ms=5_000)
        self._step = step

    async def publish(
        self, records: Sequence[tuple[str, str, bytes]], may_go_on: Callable[[], bool] = lambda: True
    ) -> list[BaseException | None]:
        """As the real one, a step."""
        call = partial(super().publish, records, may_go_on)
        answers: list[BaseException | None] = await self._step("publish", call)
        return answers

    async def _hand_over(self, producer: Any, batch: Any, lane: tuple[str, int]) -> Any:
        return await self._step("send", partial(super()._hand_over, producer, batch, lane))


class Stepwise:
    """Rows or a lease, each call a step."""

    def __init__(self, inner: Any, step: Step) -> None:
        self._inner = inner
        self._step = step

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found
        return lambda *args, **kwargs: self._step(name, lambda: found(*args, **kwargs))
