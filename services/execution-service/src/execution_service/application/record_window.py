"""Storing a window: the intent before, the outcomes after, each in one fenced transaction.

Both may be repeated when the answer of a commit was lost: a second time finds its own first and changes
nothing. Outcomes are kept at it until they are stored or the lease turns out to be another's: while
MongoDB is away nobody else can take the shard either, so waiting loses nothing.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial

from service_kit.clock import Clock
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.counts import Count, Counts, former_of, reserved
from execution_service.application.delivery_event import delivery_recorded
from execution_service.application.ports_counting import CountMoved
from execution_service.application.ports_engine import LeaseLost, Ledger, ShardLease, Shards, Window
from execution_service.application.ports_sending import Observer
from execution_service.application.prepare_window import Prepared
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Back, Final, NoAnswer, settle
from execution_service.domain.spending import spent_by
from execution_service.domain.window import close_window, open_window

log = get_logger()


class RecordWindow:
    """Opens and closes windows of leased shards."""

    def __init__(
        self,
        *,
        shards: Shards,
        ledger: Ledger,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
        observer: Observer,
        counts: Counts,
        lease_seconds: float,
    ) -> None:
        self._shards = shards
        self._ledger = ledger
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock
        self._observer = observer
        self._counts = counts
        self._lease_seconds = lease_seconds

    async def open(
        self, lease: ShardLease, execution: Execution, prepared: Prepared, count: Count | None = None
    ) -> Window:
        """Store the intent and what it counts; the lease lasts from now on. Raises LeaseLost, CountMoved."""
        now = self._clock.now()
        window = Window(
            shard_id=lease.shard_id,
            execution_id=lease.execution_id,
            number=lease.state.window,
            shard=lease.number,
            step=lease.state.step,
            message_id=execution.snapshot.messages[lease.state.step].id,
            epoch=lease.epoch,
            candidates=[letter.candidate for letter in prepared.letters],
            decided=prepared.decided,
            opened_at=now,
        )
        messages = 0 if execution.test_mode else len(reserved(lease, window.candidates))
        state = open_window(lease.state, prepared.candidates, prepared.deferred, reserved=messages)
        account, counted = state.account, count is not None and count.most is not None
        if counted:
            state = replace(state, account=account.tell())

        async def work(tx: Tx) -> None:
            until = self._clock.now() + timedelta(seconds=self._lease_seconds)
            if await self._shards.advance(tx, lease, state, until=until):
                await self._ledger.open(tx, window)
                if count is not None:
                    await self._counts.take(tx, lease, account, count)
            elif not await self._ledger.is_open(tx, window):
                raise LeaseLost(lease.shard_id)

        async with self._counts.turn(lease, counted=counted):
            await self._store(lease, work)
        lease.state = state
        return window

    async def close(
        self,
        lease: ShardLease,
        execution: Execution,
        window: Window,
        results: Sequence[Final | Back],
        count: Count | None = None,
    ) -> None:
        """Store the outcomes, the shard's state and `delivery.recorded`. Raises LeaseLost.

        `count` is what the window was opened with; a former owner's is not known any more, and stays counted.
        """
        everything = [*window.decided, *results]
        finals = [item for item in everything if isinstance(item, Final)]
        former = partial(former_of, lease)
        spent = 0 if execution.test_mode else spent_by(window.candidates, everything, former)
        state = close_window(lease.state, everything, spent=spent)
        account, counted = state.account, state.account.told is not None
        if counted:
            state = replace(state, account=account.tell())
        now = self._clock.now()
        event = delivery_recorded(execution, lease, window, finals, shard_completed=state.done, at=now)

        async def work(tx: Tx) -> None:
            if not await self._ledger.record(tx, window, finals, epoch=lease.epoch, at=now):
                return
            until = self._clock.now() + timedelta(seconds=self._lease_seconds)
            await self._shards.save(tx, lease, state, until=until)
            if finals or state.done:
                await self._outbox.add(tx, event)
            await self._counts.give_back(tx, lease, account, results, count)

        async with self._counts.turn(lease, counted=counted and account.untold != 0):
            await self._store(lease, work)
        lease.state = state
        self._observer.recorded(finals, back=len(everything) - len(finals))

    async def abandon(self, lease: ShardLease, execution: Execution, window: Window) -> None:
        """A former owner's intent: what it sent nobody knows, so none of its letters has an answer."""
        now, again = self._clock.now(), execution.snapshot.retry_unknown
        results = [
            settle(candidate, NoAnswer(), at=now, variation_id=None, retry_unknown=again)
            for candidate in window.candidates
        ]
        await self.close(lease, execution, window, results)
        log.warning("window.abandoned", shard_id=lease.shard_id, window=window.number, letters=len(results),
                    execution_id=lease.execution_id)  # fmt: skip

    async def _store(self, lease: ShardLease, work: Callable[[Tx], Awaitable[None]]) -> None:
        """Run `work` until it is stored. Raises LeaseLost, CountMoved."""
        loop = asyncio.get_running_loop()
        pause = 0.05
        while True:
            began = loop.time()
            try:
                await self._transactions.run(work)
                lease.deadline = began + self._lease_seconds
                return
            except (LeaseLost, CountMoved):
                raise
            except Exception as error:
                log.warning("window.store_waiting", shard_id=lease.shard_id, reason=type(error).__name__)
                await asyncio.sleep(pause)
                pause = min(pause * 2, 1.0)
