"""Sending one window: every letter at its slot, all answers awaited.

Slots are promises of the limiter about dispatch times, each for one letter: bot and chat are free then.
A process that comes late (a stall, a slow intent) lets the missed slots go and asks for new ones: sending
the backlog at once would exceed the rate. The rest of a window is not dispatched after a 429, a refused
token, near the end of the lease, or when the process stops; it goes back to pending.

Slots denser than the timer need no sleep each: whatever is due when the loop wakes up leaves at once.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.ports_sending import (
    BotApi,
    ChatMoves,
    Deferred,
    Limiter,
    LimiterUnavailable,
    Observer,
    Sender,
    Sharer,
    Slot,
)
from execution_service.application.prepare_window import Letter
from execution_service.application.silence import Silence
from execution_service.domain.bot import pace
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import (
    Attempt,
    Back,
    ChatMigrated,
    Delivered,
    Final,
    NoAnswer,
    NotConnected,
    NotDispatched,
    RateLimited,
    SendResult,
    Unauthorized,
    settle,
)

log = get_logger()


@dataclass(frozen=True, slots=True)
class SendTiming:
    """`patience_seconds`: how long to wait for new slots inside a window; `drain_seconds`: how long a
    stopping process waits for answers."""

    patience_seconds: float
    drain_seconds: float


@dataclass(frozen=True, slots=True)
class SentWindow:
    """The results, and whether the token was refused."""

    results: Sequence[Final | Back]
    unauthorized: bool
    not_connected: bool


class SendWindow:
    """Sends windows of all runners of this process."""

    def __init__(
        self,
        *,
        api: BotApi,
        moves: ChatMoves,
        limiter: Limiter,
        silence: Silence,
        observer: Observer,
        clock: Clock,
        timing: SendTiming,
        stopping: asyncio.Event,
    ) -> None:
        self.api = api
        self.moves = moves
        self.limiter = limiter
        self.silence = silence
        self.observer = observer
        self.clock = clock
        self.timing = timing
        self.stopping = stopping

    async def __call__(
        self,
        letters: Sequence[Letter],
        slots: Sequence[Slot],
        sender: Sender,
        *,
        execution: Execution,
        stop_at: float,
    ) -> SentWindow:
        """Send each of `letters` at its slot; none is dispatched after `stop_at` (loop time)."""
        return await _Sending(self, letters, sender, execution, stop_at).run(slots)


_Due = tuple[Letter, Slot]


class _Sending:
    """One window on its way."""

    def __init__(
        self,
        of: SendWindow,
        letters: Sequence[Letter],
        sender: Sender,
        execution: Execution,
        stop_at: float,
    ) -> None:
        self._of = of
        self._letters = letters
        self._sender = sender
        self._execution = execution
        self._sharer = Sharer.of(execution, sender)
        self._pace = pace(self._sharer.rate)
        self._stop_at = stop_at
        self._loop = asyncio.get_running_loop()
        self._tasks: list[asyncio.Task[None]] = []
        self._outcomes: dict[int, Final | Back] = {}
        self._dispatched: set[int] = set()
        self._halted = False
        self._unauthorized = False
        self._connected = False

    async def run(self, slots: Sequence[Slot]) -> SentWindow:
        """Dispatch, await, and settle what was not dispatched."""
        try:
            missed = await self._dispatch(list(zip(self._letters, slots, strict=True)))
            while missed and self._may_dispatch():
                again, missed = await self._again(missed)
                missed = await self._dispatch(again) + missed
            await self._answers()
        except Exception as error:
            # What has been answered is known, and must not become unknown for what nobody foresaw here.
            log.error("window.unforeseen", exc_info=error)
            self._halted = True
            await self._answers()
        finally:
            for task in self._tasks:
                task.cancel()
        results = [self._outcomes.get(item.candidate.position) or self._left(item) for item in self._letters]
        return SentWindow(results, self._unauthorized, bool(self._dispatched) and not self._connected)

    def _left(self, letter: Letter) -> Final | Back:
        """Of a letter without an answer: once it was dispatched, the truth is that nobody knows."""
        if letter.candidate.position in self._dispatched:
            return self._settle(letter, NoAnswer())
        return self._settle(letter, NotDispatched(self._of.silence.left(self._sender.bot.telegram_id)))

    def _settle(self, letter: Letter, attempt: Attempt) -> Final | Back:
        return settle(
            letter.candidate,
            attempt,
            at=self._of.clock.now(),
            variation_id=letter.variation_id,
            retry_unknown=self._execution.snapshot.retry_unknown,
        )

    def _may_dispatch(self) -> bool:
        return not (
            self._halted
            or self._of.stopping.is_set()
            or self._loop.time() >= self._stop_at
            or self._of.silence.left(self._sender.bot.telegram_id) > 0
        )

    async def _dispatch(self, due: Sequence[_Due]) -> list[_Due]:
        """Send each at its slot, in their order; those whose slot had gone by."""
        queue, missed = iter(due), list[_Due]()
        if self._pace.lanes:
            lanes = range(min(self._pace.lanes, len(due)))
            timely = partial(self._timely, missed)
            self._tasks += [asyncio.create_task(self._walk(queue, timely)) for _ in lanes]
            await self._answers()
        else:
            await self._walk(queue, partial(self._post, missed))
            await asyncio.sleep(0)  # by then those posted have been looked at
        if missed:
            self._of.observer.slots_missed(len(missed))
        return missed

    async def _walk(self, queue: Iterator[_Due], send: Callable[[_Due], Awaitable[None]]) -> None:
        """`send` each at its slot; several walkers may share a queue."""
        for due in queue:
            if not await self._reached(due[1].at):
                return
            await send(due)

    async def _post(self, missed: list[_Due], due: _Due) -> None:
        """Send without waiting for the answer."""
        self._tasks.append(asyncio.create_task(self._timely(missed, due)))

    async def _timely(self, missed: list[_Due], due: _Due) -> None:
        """Send, unless it is too late: looked at where nothing comes between the look and the request."""
        letter, slot = due
        if monotonic() > slot.until:  # the loop's clock, which under uvloop shows whole milliseconds only
            missed.append(due)
        elif self._loop.time() < self._stop_at:
            await self._send(letter)

    async def _reached(self, at: float) -> bool:
        """Wait for a slot; False when nothing more may be dispatched."""
        while self._may_dispatch():
            early = at - self._loop.time()
            if early <= self._pace.early:
                return True
            await asyncio.sleep(early)
        return False

    async def _again(self, missed: list[_Due]) -> tuple[list[_Due], list[_Due]]:
        """New slots for the first of `missed`, and who is left; a letter whose chat must wait goes back."""
        chats, slots = [letter.chat_id for letter, _ in missed], [slot for _, slot in missed]
        try:
            grant = await self._of.limiter.reserve(self._sharer, chats, missed=slots)
        except LimiterUnavailable:
            self._halted = True
            return [], []
        if grant.wait > self._of.timing.patience_seconds:
            self._halted = True
        elif grant.wait:
            await asyncio.sleep(grant.wait)
        again = []
        for (letter, _), turn in zip(missed, grant.turns, strict=False):
            if isinstance(turn, Deferred):
                back = NotDispatched(max(0.0, turn.at - self._loop.time()))
                self._outcomes[letter.candidate.position] = self._settle(letter, back)
            else:
                again.append((letter, turn))
        return again, missed[len(grant.turns) :]

    async def _send(self, letter: Letter) -> None:
        """One request, settled at once, so that a cancelled neighbour changes nothing here."""
        started = self._loop.time()
        self._dispatched.add(letter.candidate.position)
        try:
            result: SendResult = await self._of.api.send(
                self._sender.token, letter.chat_id, letter.rendered, paid=self._sharer.paid
            )
        except Exception as error:
            log.error("delivery.unforeseen", exc_info=error)
            result = NoAnswer()
        self._of.observer.sent(type(result).__name__, self._loop.time() - started)
        self._outcomes[letter.candidate.position] = self._settle(letter, result)
        if isinstance(result, Delivered):
            self._connected = True
        else:
            await self._react(letter, result)

    async def _react(self, letter: Letter, result: SendResult) -> None:
        """What one answer means beyond its letter."""
        self._connected = self._connected or not isinstance(result, NotConnected)
        if isinstance(result, Unauthorized):
            self._halted = self._unauthorized = True
        elif isinstance(result, RateLimited):
            self._halted = True
            self._of.observer.rate_limited()
            await self._of.silence.begin(self._sender.bot.telegram_id, result.retry_after)
        elif isinstance(result, ChatMigrated):
            await self._of.moves.move(
                self._execution.org, letter.contact_id, before=letter.chat_id, after=result.chat_id
            )

    async def _answers(self) -> None:
        """Wait for all; a stopping process gives up after its time, and the rest stays unknown."""
        pending: set[asyncio.Task[None]] = set(self._tasks)
        give_up: float | None = None
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.25)
            now = self._loop.time()
            if self._of.stopping.is_set() and give_up is None:
                give_up = now + self._of.timing.drain_seconds
            if give_up is not None and now >= give_up:
                for task in pending:
                    task.cancel()
                return
