"""One turn of a shard: who is due → what they get → slots → intent → send → record → who is out of reach.

The intent is never stored without slots, nothing is sent without an intent, and whatever happens in
between the next owner finds the window open and calls it unknown.
"""

import asyncio
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.await_hours import AwaitHours
from execution_service.application.count_window import (
    IN_FLIGHT_SECONDS,
    CountWindow,
    Look,
    NothingPaid,
)
from execution_service.application.delivery_event import TOLD_AT_ONCE
from execution_service.application.finish_execution import FinishExecution
from execution_service.application.guard_execution import GuardExecution
from execution_service.application.keep_lease import KeepLease, RunPolicy
from execution_service.application.note_reach import NoteReach
from execution_service.application.ports_engine import ShardLease
from execution_service.application.ports_sending import (
    GRANT_SECONDS,
    Grant,
    Limiter,
    LimiterUnavailable,
    Observer,
    Sender,
    Senders,
    Sharer,
    Slot,
)
from execution_service.application.prepare_window import PrepareWindow
from execution_service.application.record_window import RecordWindow
from execution_service.application.send_window import SendWindow
from execution_service.application.silence import Silence
from execution_service.application.watch_execution import ExecutionWatch
from execution_service.domain.execution import Execution
from execution_service.domain.holding import Held, woken
from execution_service.domain.window import candidates, next_due

log = get_logger()

SKIPPED_AT_ONCE = 10_000
"""Contacts in a window that sends nothing and has no segments to tell: all of a shard."""
_CLOCKS_SECONDS = 0.01
"""The machine's clock is read to the millisecond, and so is uvloop's own."""
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing to do for so long; `held`: because the hours of its contacts have not come."""

    seconds: float
    held: Held | None = None


class RunTurn:
    """Runs turns of leased shards; one instance serves all runners of a process."""

    def __init__(
        self,
        *,
        senders: Senders,
        limiter: Limiter,
        silence: Silence,
        hours: AwaitHours,
        prepare: PrepareWindow,
        count: CountWindow,
        send: SendWindow,
        record: RecordWindow,
        guard: GuardExecution,
        reach: NoteReach,
        finish: FinishExecution,
        keep: KeepLease,
        observer: Observer,
        clock: Clock,
        policy: RunPolicy,
        stopping: asyncio.Event,
    ) -> None:
        self.senders = senders
        self.limiter = limiter
        self.silence = silence
        self.hours = hours
        self.prepare = prepare
        self.count = count
        self.send = send
        self.record = record
        self.guard = guard
        self.reach = reach
        self.finish = finish
        self.keep = keep
        self.observer = observer
        self.clock = clock
        self.policy = policy
        self.stopping = stopping

    async def __call__(self, lease: ShardLease, watch: ExecutionWatch) -> Pause | None:
        """One window, or why there is none now."""
        execution = watch.execution
        if watch.ended:
            await self._skip(lease, execution)
            return None
        sender = await self._sender(execution, lease.part)
        if sender is None:
            await self._fail(watch, execution, "BOT_MISSING")
            return None
        try:
            return await self._window(lease, watch, execution, sender)
        except NothingPaid:
            await self._fail(watch, execution, "BUDGET_EXHAUSTED")
            return None

    async def _window(
        self, lease: ShardLease, watch: ExecutionWatch, execution: Execution, sender: Sender
    ) -> Pause | None:
        now, sharer = self.clock.now(), Sharer.of(execution, sender)
        limits, limit = await self.count.limits(execution, watch.budget), self.policy.window_size
        if execution.snapshot.audience.segments:
            limit = min(limit, TOLD_AT_ONCE)
        if not self.count.spent_up(execution, limits):
            # No more than the limiter may grant at once: a slow bot's windows are small.
            limit = min(limit, max(1, int(sharer.rate * GRANT_SECONDS)))
        hours = await self.hours.hours(execution)
        lease.state = woken(lease.state, hours.edition, now=now)
        turn = candidates(lease.state, limit=limit, now=now)
        if not turn:
            due = next_due(lease.state)
            return Pause((due - now).total_seconds() if due else 0)
        silent = await self.silence.durable(sender.bot.telegram_id)
        if silent > 0:
            return Pause(silent)
        prepared = await self.prepare(execution, lease, turn, hours=hours, now=now)
        if prepared.waits:
            held = await self.hours.hold(lease, hours)
            return Pause((held.until - self.clock.now()).total_seconds(), held) if held else None
        look = await self.count.look(lease, execution, limits, prepared)
        if look.prepared.waits:
            return Pause(IN_FLIGHT_SECONDS)
        chats = [letter.chat_id for letter in look.prepared.letters]
        grant = await self._slots(lease, watch, execution, sharer, chats)
        if grant is None or grant.wait:
            return Pause(grant.wait if grant else 0)
        look = replace(look, prepared=look.prepared.granted(grant.turns, self._date_of))
        return await self._deliver(lease, watch, execution, sender, look, grant.slots)

    async def _fail(self, watch: ExecutionWatch, execution: Execution, code: str) -> None:
        """This life of the execution is over, and the next turn is to know."""
        await self.finish.fail(execution, code)
        await watch.look()

    async def _skip(self, lease: ShardLease, execution: Execution) -> None:
        """The campaign has ended: nobody of the shard is sent to any more, waiting ones included."""
        limit = TOLD_AT_ONCE if execution.snapshot.audience.segments else SKIPPED_AT_ONCE
        turn = candidates(lease.state, limit=limit, now=_LATEST)
        now = self.clock.now()
        skipped = await self.prepare.passed_over(execution, lease, turn, "CAMPAIGN_ENDED", now=now)
        window = await self.record.open(lease, execution, skipped)
        await self.record.close(lease, execution, window, ())

    async def _deliver(
        self,
        lease: ShardLease,
        watch: ExecutionWatch,
        execution: Execution,
        sender: Sender,
        look: Look,
        slots: Sequence[Slot],
    ) -> Pause | None:
        """Intent, sends, record. `execution` is the life that the letters were prepared for."""
        if slots:
            # Not earlier than needed: a crash before the intent costs slots, after it outcomes.
            early = slots[0].at - self.policy.intent_seconds - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, early))
        opened = await self.count.open(self.record, lease, execution, watch.budget, look, slots)
        if opened is None:
            return Pause(IN_FLIGHT_SECONDS)
        try:
            await watch.refresh()
        except Exception as error:
            # The window is open: leaving here would call it unknown. The older look bounds what is sent.
            log.warning("shard.looks_blindly", shard_id=lease.shard_id, reason=type(error).__name__)
        letters = opened.prepared.letters
        sent = await self.send(
            letters,
            opened.slots,
            sender,
            execution=execution,
            stop_at=min(
                lease.deadline - self.policy.reserve_seconds,
                watch.sends_until(execution),
                self._time_of(opened.prepared.until),
            ),
        )
        await self.record.close(lease, execution, opened.window, sent.results, opened.count)
        await self.reach(execution.org, letters, sent.results)
        if await self.guard(execution, [*opened.window.decided, *sent.results]):
            await watch.look()
        if sent.unauthorized:
            await self._fail(watch, execution, "BOT_UNAUTHORIZED")
        return Pause(1.0) if sent.not_connected else None

    def _date_of(self, at: float) -> datetime:
        """When the event loop's clock will show `at`."""
        return self.clock.now() + timedelta(seconds=at - asyncio.get_running_loop().time())

    def _time_of(self, date: datetime | None) -> float:
        """What the event loop's clock will show shortly before `date`: neither clock is read exactly."""
        if date is None:
            return math.inf
        left = (date - self.clock.now()).total_seconds() - _CLOCKS_SECONDS
        return asyncio.get_running_loop().time() + left

    async def _sender(self, execution: Execution, part: int) -> Sender | None:
        bots = execution.bots
        if not bots:
            return None
        # A mended execution may have fewer bots than it was planned for.
        return await self.senders.open(execution.org, bots[part % len(bots)].bot_id)

    async def _slots(
        self,
        lease: ShardLease,
        watch: ExecutionWatch,
        execution: Execution,
        sharer: Sharer,
        chats: Sequence[int],
    ) -> Grant | None:
        """Slots for the first of `chats`; None when there is no waiting for them here and now."""
        loop = asyncio.get_running_loop()
        began, backoff = loop.time(), 0.1
        if not chats:
            return Grant(())
        while not self.stopping.is_set() and watch.sends_until(execution) > loop.time():
            try:
                grant = await self.limiter.reserve(sharer, chats)
            except LimiterUnavailable:
                grant = Grant((), backoff)
                backoff = min(backoff * 2, 2.0)
            if grant.turns:
                self.observer.limiter_waited(loop.time() - began)
                return grant
            if grant.wait > self.policy.patience_seconds:
                return grant
            await asyncio.sleep(grant.wait)
            await self.keep.hold(lease)
            await watch.refresh()
        return None
