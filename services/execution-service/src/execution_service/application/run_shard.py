"""A worker's life: lease a shard, send it window by window, go on with another.

A shard that must wait longer than `patience_seconds` is given back, so that the runner serves other bots
meanwhile. Whether it may send at all is looked up before each turn, while it waits, and right before it
sends, unless that has just been done.
"""

import asyncio

from service_kit.clock import Clock
from service_kit.logging import get_logger

from execution_service.application.finish_execution import FinishExecution
from execution_service.application.keep_lease import KeepLease, RunPolicy
from execution_service.application.ports_engine import Executions, LeaseLost, Ledger, ShardLease, Shards
from execution_service.application.ports_sending import Observer
from execution_service.application.run_turn import Pause, RunTurn
from execution_service.application.turns import Turns
from execution_service.application.watch_execution import ExecutionWatch

log = get_logger()


class RunShard:
    """Runs leased shards; one instance serves all runners of a process."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        turns: Turns,
        ledger: Ledger,
        turn: RunTurn,
        finish: FinishExecution,
        keep: KeepLease,
        observer: Observer,
        clock: Clock,
        policy: RunPolicy,
        stopping: asyncio.Event,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._turns = turns
        self._ledger = ledger
        self.turn = turn
        self._finish = finish
        self._keep = keep
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
            await self._keep.release(lease, 1.0)
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
            await self.turn.record.abandon(lease, execution, abandoned)
        slice_end = asyncio.get_running_loop().time() + self._policy.slice_seconds
        while not lease.state.done:
            over = self._stopping.is_set() or asyncio.get_running_loop().time() > slice_end
            if over or await self._turns.give_way(lease):
                await self._keep.release(lease, 0)
                return
            await watch.refresh()
            if not watch.underway:
                await self._park(lease, watch)
                return
            pause = await self.turn(lease, watch)
            if pause is not None and not await self._waited(lease, pause):
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

    async def _waited(self, lease: ShardLease, pause: Pause) -> bool:
        """Wait here when it is short; otherwise give the shard back and say so."""
        if pause.seconds > self._policy.patience_seconds:
            await self._keep.release(lease, pause.seconds, held=pause.held)
            return False
        await asyncio.sleep(max(0.0, pause.seconds))
        await self._keep.hold(lease)
        return True
