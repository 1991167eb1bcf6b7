"""A worker's life: lease a shard, send it window by window, go on with another.

A turn of a shard is: who is due → what they get → slots → intent → send → record. The intent is never
stored without slots, nothing is sent without an intent, and whatever happens in between the next owner
finds the window open and calls it unknown. A shard that must wait longer than `patience_seconds` is
given back, so that the runner serves other bots meanwhile. Whether it may send at all it looks up
before each turn, while it waits, and right before it sends, unless it has just done so.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.finish_execution import FinishExecution
from execution_service.application.ports_engine import Executions, LeaseLost, Ledger, ShardLease, Shards
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
from execution_service.application.prepare_window import Prepared, PrepareWindow
from execution_service.application.record_window import RecordWindow
from execution_service.application.send_window import SendWindow
from execution_service.application.silence import Silence
from execution_service.application.turns import Turns
from execution_service.application.watch_execution import ExecutionWatch
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Final
from execution_service.domain.window import candidates, next_due

log = get_logger()

SKIPPED_AT_ONCE = 10_000
"""Contacts in a window that sends nothing: all of a shard."""
_LATEST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """Settings of a runner; seconds, but for `window_size` (contacts)."""

    window_size: int
    lease_seconds: float
    patience_seconds: float
    slice_seconds: float
    """How long one shard may keep a runner before it queues again."""
    intent_seconds: float
    """How long before its first slot a window's intent is stored."""
    reserve_seconds: float
    """Nothing is dispatched so close to the end of the lease: an answer and its record need that long."""
    trust_seconds: float
    """Nothing is dispatched so long after the last look at the execution."""


@dataclass(frozen=True, slots=True)
class _Pause:
    """Nothing to do for so long."""

    seconds: float


class RunShard:
    """Runs leased shards; one instance serves all runners of a process."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        turns: Turns,
        ledger: Ledger,
        senders: Senders,
        limiter: Limiter,
        silence: Silence,
        prepare: PrepareWindow,
        send: SendWindow,
        record: RecordWindow,
        finish: FinishExecution,
        observer: Observer,
        clock: Clock,
        policy: RunPolicy,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._turns = turns
        self._ledger = ledger
        self._senders = senders
        self._limiter = limiter
        self._silence = silence
        self._prepare = prepare
        self._send = send
        self._record = record
        self._finish = finish
        self._observer = observer
        self._clock = clock
        self._policy = policy
        self._stopping = stopping

    async def run_once(self, owner: str) -> bool:
        """Lease a shard as `owner` and run it; False when none is due."""
        lease = await self._turns.lease(owner)
        if lease is None:
            return False
        try:
            await self._run(lease)
        except LeaseLost:
            self._observer.lease_lost()
            log.warning("shard.lease_lost", shard_id=lease.shard_id, execution_id=lease.execution_id)
        except Exception as error:
            log.error("shard.interrupted", shard_id=lease.shard_id, exc_info=error)
            await self._release(lease, 1.0)
        finally:
            self._turns.left(lease)
        return True

    async def _run(self, lease: ShardLease) -> None:
        execution = await self._executions.get(lease.execution_id)
        if execution is None:
            await self._shards.park(lease)
            return
        watch = ExecutionWatch(
            self._executions, execution, clock=self._clock, trust_seconds=self._policy.trust_seconds
        )
        abandoned = await self._ledger.left_open(lease)
        if abandoned is not None:
            await self._record.abandon(lease, execution, abandoned)
        slice_end = asyncio.get_running_loop().time() + self._policy.slice_seconds
        while not lease.state.done:
            over = self._stopping.is_set() or asyncio.get_running_loop().time() > slice_end
            if over or await self._turns.give_way(lease):
                await self._release(lease, 0)
                return
            await watch.refresh()
            if not watch.underway:
                await self._park(lease, watch)
                return
            pause = await self._turn(lease, watch)
            if pause is not None and not await self._waited(lease, pause.seconds):
                return
        log.info("shard.done", shard_id=lease.shard_id, execution_id=lease.execution_id, **lease.state.counts)
        await self._finish.if_complete(execution)

    async def _park(self, lease: ShardLease, watch: ExecutionWatch) -> None:
        """Put the shard where nobody takes it.

        Whoever resumes stores the status first and then makes parked shards due. If that happened between
        our look and our parking, the shard was missed, but then the second look sees the new status.
        """
        await self._shards.park(lease)
        await watch.look()
        if watch.underway:
            await self._shards.unpark(lease.execution_id, due=self._clock.now())

    async def _turn(self, lease: ShardLease, watch: ExecutionWatch) -> _Pause | None:
        """One window, or why there is none now."""
        now, execution = self._clock.now(), watch.execution
        if watch.ended:
            await self._skip(lease, execution)
            return None
        sender = await self._sender(execution, lease.part)
        if sender is None:
            await self._fail(watch, execution, "BOT_MISSING")
            return None
        # No more than the limiter may grant at once: a slow bot's windows are small.
        sharer = Sharer.of(execution, sender)
        limit = min(self._policy.window_size, max(1, int(sharer.rate * GRANT_SECONDS)))
        turn = candidates(lease.state, limit=limit, now=now)
        if not turn:
            due = next_due(lease.state)
            return _Pause((due - now).total_seconds() if due else 0)
        silent = await self._silence.durable(sender.bot.telegram_id)
        if silent > 0:
            return _Pause(silent)
        prepared = await self._prepare(execution, lease, turn, now=now)
        chats = [letter.chat_id for letter in prepared.letters]
        grant = await self._slots(lease, watch, execution, sharer, chats)
        if grant is None or grant.wait:
            return _Pause(grant.wait if grant else 0)
        prepared = prepared.granted(grant.turns, self._date_of)
        return await self._deliver(lease, watch, execution, sender, prepared, grant.slots)

    async def _fail(self, watch: ExecutionWatch, execution: Execution, code: str) -> None:
        """This life of the execution is over, and the next turn is to know."""
        await self._finish.fail(execution, code)
        await watch.look()

    async def _skip(self, lease: ShardLease, execution: Execution) -> None:
        """The campaign has ended: nobody of the shard is sent to any more, waiting ones included."""
        now = self._clock.now()
        turn = candidates(lease.state, limit=SKIPPED_AT_ONCE, now=_LATEST)
        skipped = [Final(item.position, "skipped", now, "CAMPAIGN_ENDED") for item in turn]
        window = await self._record.open(lease, execution, Prepared(skipped, turn))
        await self._record.close(lease, execution, window, ())

    async def _deliver(
        self,
        lease: ShardLease,
        watch: ExecutionWatch,
        execution: Execution,
        sender: Sender,
        prepared: Prepared,
        slots: Sequence[Slot],
    ) -> _Pause | None:
        """Intent, sends, record. `execution` is the life that the letters were prepared for."""
        if slots:
            # Not earlier than needed: a crash before the intent costs slots, after it outcomes.
            early = slots[0].at - self._policy.intent_seconds - asyncio.get_running_loop().time()
            await asyncio.sleep(max(0.0, early))
        window = await self._record.open(lease, execution, prepared)
        try:
            await watch.refresh()
        except Exception as error:
            # The window is open: leaving here would call it unknown. The older look bounds what is sent.
            log.warning("shard.looks_blindly", shard_id=lease.shard_id, reason=type(error).__name__)
        sent = await self._send(
            prepared.letters,
            slots,
            sender,
            execution=execution,
            stop_at=min(lease.deadline - self._policy.reserve_seconds, watch.sends_until(execution)),
        )
        await self._record.close(lease, execution, window, sent.results)
        if sent.unauthorized:
            await self._fail(watch, execution, "BOT_UNAUTHORIZED")
        return _Pause(1.0) if sent.not_connected else None

    def _date_of(self, at: float) -> datetime:
        """When the event loop's clock will show `at`."""
        return self._clock.now() + timedelta(seconds=at - asyncio.get_running_loop().time())

    async def _sender(self, execution: Execution, part: int) -> Sender | None:
        bots = execution.bots
        if not bots:
            return None
        # A mended execution may have fewer bots than it was planned for.
        return await self._senders.open(execution.org, bots[part % len(bots)].bot_id)

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
        while not self._stopping.is_set() and watch.sends_until(execution) > loop.time():
            try:
                grant = await self._limiter.reserve(sharer, chats)
            except LimiterUnavailable:
                grant = Grant((), backoff)
                backoff = min(backoff * 2, 2.0)
            if grant.turns:
                self._observer.limiter_waited(loop.time() - began)
                return grant
            if grant.wait > self._policy.patience_seconds:
                return grant
            await asyncio.sleep(grant.wait)
            await self._hold(lease)
            await watch.refresh()
        return None

    async def _waited(self, lease: ShardLease, seconds: float) -> bool:
        """Wait here when it is short; otherwise give the shard back and say so."""
        if seconds > self._policy.patience_seconds:
            await self._release(lease, seconds)
            return False
        await asyncio.sleep(max(0.0, seconds))
        await self._hold(lease)
        return True

    async def _hold(self, lease: ShardLease) -> None:
        """Renew when less than half of the lease is left. Raises LeaseLost."""
        now = asyncio.get_running_loop().time()
        seconds = self._policy.lease_seconds
        if lease.deadline - now < seconds / 2:
            await self._shards.renew(lease, until=self._clock.now() + timedelta(seconds=seconds))
            lease.deadline = now + seconds

    async def _release(self, lease: ShardLease, after: float) -> None:
        try:
            await self._shards.release(lease, due=self._clock.now() + timedelta(seconds=after))
        except Exception as error:
            # The lease will expire by itself.
            log.warning("shard.not_released", shard_id=lease.shard_id, reason=type(error).__name__)
