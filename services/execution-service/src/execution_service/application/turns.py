"""Which execution a free runner of this process serves next.

The limiter shares a bot's rate between the executions that ask for it, so each must have somebody who asks:
shards in the order of their due times would let a long execution hold all runners while a short one waits
behind every shard of it. So a free runner goes to the execution with the fewest runners here, and one whose
execution has more than another's gives its shard back, between two windows, when that other one waits.
One that has nothing to do for long, because its contacts wait for their hours, is asked for seldom.
"""

import asyncio
import math
from collections import Counter
from datetime import timedelta

from service_kit.clock import Clock

from execution_service.application.ports_engine import Executions, ShardLease, Shards
from execution_service.domain.execution import Standing

_SELDOM_SECONDS = 5.0
"""Between two looks at an execution that has nothing due soon. An idle runner looks for all at once."""
_PAUSE_SECONDS = 0.1
"""Between two runners that give way: the first one's effect must be seen."""


class Turns:
    """Shares the runners of one process between the executions underway, looked up every `look_seconds`."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        clock: Clock,
        lease_seconds: float,
        look_seconds: float,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._look_seconds = look_seconds
        self._underway: dict[str, Standing] = {}
        self._looked = self._gave_way = -math.inf
        self._runners: Counter[str] = Counter()
        self._served: dict[str, float] = {}
        self._nothing_until: dict[str, float] = {}
        self._asleep: set[str] = set()

    async def lease(self, owner: str) -> ShardLease | None:
        """A shard for a free runner, of whose execution has most need of one; None when none is due."""
        await self._look()
        for execution_id in self._by_need():
            if execution_id in self._asleep:  # one runner asks, not all of them at once
                self._nothing_until[execution_id] = self._now() + _SELDOM_SECONDS
            lease = await self._lease(owner, execution_id)
            if lease is not None:
                return lease
            self._nothing_until[execution_id] = self._now() + await self._rest_of(execution_id)
        # What the last look did not show, or must only be parked.
        return await self._lease(owner, None)

    async def _rest_of(self, execution_id: str) -> float:
        """For how many seconds an execution that has nothing due is let alone.

        No lease lasts longer than `lease_seconds`: if nothing comes to its time in twice of that, nobody has
        one, and nothing will be given back. What is planned or made due meanwhile is found a little later.
        """
        now = self._clock.now()
        until = now + timedelta(seconds=2 * self._lease_seconds)
        standing = self._underway.get(execution_id)
        planned = standing is not None and standing.status == "running"
        if planned and not await self._shards.any_due(execution_id, after=now, until=until):
            self._asleep.add(execution_id)
            return _SELDOM_SECONDS
        self._asleep.discard(execution_id)
        return self._look_seconds

    def left(self, lease: ShardLease) -> None:
        """The runner is free again."""
        self._runners[lease.execution_id] -= 1

    async def give_way(self, lease: ShardLease) -> bool:
        """Whether another execution has more need of this runner."""
        await self._look()
        now, mine = self._now(), lease.execution_id
        needy = next((other for other in self._by_need() if other != mine), None)
        if needy is None or self._runners[mine] < self._runners[needy] + 2:
            return False
        if now < self._gave_way + _PAUSE_SECONDS:
            return False
        self._gave_way = now
        return True

    async def _lease(self, owner: str, execution_id: str | None) -> ShardLease | None:
        deadline = self._now() + self._lease_seconds
        lease = await self._shards.lease(
            owner,
            now=self._clock.now(),
            seconds=self._lease_seconds,
            deadline=deadline,
            execution_id=execution_id,
        )
        if lease is not None:
            self._asleep.discard(lease.execution_id)
            self._nothing_until.pop(lease.execution_id, None)
            self._runners[lease.execution_id] += 1
            self._served[lease.execution_id] = self._now()
        return lease

    def _by_need(self) -> list[str]:
        """Executions that may have a shard to lease: the fewest runners first, then the longest without."""
        now = self._now()
        waiting = [name for name in self._underway if self._nothing_until.get(name, 0) <= now]
        return sorted(waiting, key=lambda name: (self._runners[name], self._served.get(name, 0)))

    async def _look(self) -> None:
        now = self._now()
        if now < self._looked + self._look_seconds:
            return
        self._looked = now
        self._underway = {one.execution_id: one for one in await self._executions.underway()}
        known = self._underway
        self._runners = +self._runners
        self._served = {name: at for name, at in self._served.items() if name in known}
        self._nothing_until = {name: at for name, at in self._nothing_until.items() if name in known}
        self._asleep &= known.keys()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
