"""Sending one window: every letter at its slot, all answers awaited.

Slots are promises of the limiter about dispatch times. A process that comes late (a stall, a slow
intent) lets the missed slots go and asks for new ones: sending the backlog at once would exceed the
rate. The rest of a window is not dispatched after a 429, a refused token, near the end of the lease,
or when the process stops; it goes back to pending.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.ports_sending import (
    BotApi,
    ChatMoves,
    Grant,
    Limiter,
    LimiterUnavailable,
    Observer,
    Sender,
)
from execution_service.application.prepare_window import Letter
from execution_service.application.silence import Silence
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import (
    Attempt,
    Back,
    ChatMigrated,
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
    """`late_seconds`: how late a slot may be used; `patience_seconds`: how long to wait for new slots
    inside a window; `drain_seconds`: how long a stopping process waits for answers."""

    late_seconds: float
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
        sender: Sender,
        grant: Grant,
        *,
        execution: Execution,
        stop_at: float,
    ) -> SentWindow:
        """Send `letters` with the slots of `grant`; none is dispatched after `stop_at` (loop time)."""
        return await _Sending(self, letters, sender, grant, execution, stop_at).run()


class _Sending:
    """One window on its way."""

    def __init__(
        self,
        of: SendWindow,
        letters: Sequence[Letter],
        sender: Sender,
        grant: Grant,
        execution: Execution,
        stop_at: float,
    ) -> None:
        self._of = of
        self._letters = letters
        self._sender = sender
        self._slots = deque(grant.slots)
        self._execution = execution
        self._stop_at = stop_at
        self._loop = asyncio.get_running_loop()
        self._outcomes: dict[int, Final | Back] = {}
        self._halted = False
        self._unauthorized = False
        self._connected = False

    async def run(self) -> SentWindow:
        """Dispatch, await, and settle what was not dispatched."""
        tasks: list[asyncio.Task[None]] = []
        try:
            for letter in self._letters:
                if not await self._slot(len(self._letters) - len(tasks)):
                    break
                tasks.append(asyncio.create_task(self._send(letter)))
            await self._answers(tasks)
        finally:
            for task in tasks:
                task.cancel()
        wait = self._of.silence.left(self._sender.bot.telegram_id)
        results = [
            self._outcomes.get(item.candidate.position) or self._back(item, wait) for item in self._letters
        ]
        return SentWindow(results, self._unauthorized, bool(tasks) and not self._connected)

    def _back(self, letter: Letter, wait: float) -> Final | Back:
        return self._settle(letter, NotDispatched(wait))

    def _settle(self, letter: Letter, attempt: Attempt) -> Final | Back:
        return settle(letter.candidate, attempt, at=self._of.clock.now(), variation_id=letter.variation_id)

    def _may_dispatch(self) -> bool:
        return not (
            self._halted
            or self._of.stopping.is_set()
            or self._loop.time() >= self._stop_at
            or self._of.silence.left(self._sender.bot.telegram_id) > 0
        )

    async def _slot(self, letters_left: int) -> bool:
        """Wait for the next letter's slot; False when nothing more may be dispatched."""
        while self._may_dispatch():
            if not self._slots and not await self._more_slots(letters_left):
                return False
            if not self._slots:
                continue
            early = self._slots[0] - self._loop.time()
            if early > 0.0005:
                await asyncio.sleep(early)
            elif self._slots.popleft() + self._of.timing.late_seconds >= self._loop.time():
                return True
            else:
                self._of.observer.slots_missed(1)
        return False

    async def _more_slots(self, wanted: int) -> bool:
        """Replace missed slots; False when the limiter has none soon."""
        try:
            grant = await self._of.limiter.reserve(
                self._sender.bot.telegram_id,
                per_second=self._sender.per_second,
                wanted=wanted,
                share=self._execution.execution_id,
                weight=self._execution.weight,
            )
        except LimiterUnavailable:
            return False
        if not grant.slots:
            if grant.wait > self._of.timing.patience_seconds:
                return False
            await asyncio.sleep(grant.wait)
        self._slots.extend(grant.slots)
        return True

    async def _send(self, letter: Letter) -> None:
        """One request, settled at once, so that a cancelled neighbour changes nothing here."""
        started = self._loop.time()
        # Until an answer is there, the truth is that nobody knows: this is what a cancellation leaves.
        self._outcomes[letter.candidate.position] = self._settle(letter, NoAnswer())
        try:
            result: SendResult = await self._of.api.send(self._sender.token, letter.chat_id, letter.rendered)
        except Exception as error:
            log.error("delivery.unforeseen", exc_info=error)
            result = NoAnswer()
        self._of.observer.sent(type(result).__name__, self._loop.time() - started)
        self._outcomes[letter.candidate.position] = self._settle(letter, result)
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

    async def _answers(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        """Wait for all; a stopping process gives up after its time, and the rest stays unknown."""
        pending: set[asyncio.Task[None]] = set(tasks)
        give_up: float | None = None
        while pending:
            _, pending = await asyncio.wait(pending, timeout=0.25)
            now = self._loop.time()
            if self._of.stopping.is_set() and give_up is None:
                give_up = now + self._of.timing.drain_seconds
            if give_up is not None and now >= give_up:
                return
