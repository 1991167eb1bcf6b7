"""One runner's sight of the execution whose shard it holds.

A pause, a cancellation, an end or a new snapshot is a fact in MongoDB that a runner learns of by looking.
Whatever is dispatched relies on a look that began at most `trust_seconds` before, so nothing is sent later
than that after such a fact was stored, whatever hangs in between: MongoDB, the limiter, this process.
"""

import asyncio
import math

from service_kit.clock import Clock

from execution_service.application.ports_engine import Executions
from execution_service.domain.execution import Budget, Execution, Standing


class ExecutionWatch:
    """`execution` is as the last look found it."""

    def __init__(
        self, executions: Executions, execution: Execution, *, clock: Clock, trust_seconds: float
    ) -> None:
        self.execution = execution
        self._executions = executions
        self._clock = clock
        self._trust = trust_seconds
        self._standing: Standing | None = None
        self._looked = -math.inf

    async def look(self) -> None:
        """See how it stands now; a new life is read anew."""
        began = asyncio.get_running_loop().time()
        standing = await self._executions.standing(self.execution.execution_id)
        if standing is not None and standing.life != self.execution.life:
            self.execution = await self._executions.get(self.execution.execution_id) or self.execution
        self._standing, self._looked = standing, began

    async def refresh(self) -> None:
        """Look again, unless the last look was just now."""
        if asyncio.get_running_loop().time() - self._looked > self._trust / 3:
            await self.look()

    @property
    def underway(self) -> bool:
        """Whether it may be sent, by the last look."""
        return self._standing is not None and self._standing.underway

    @property
    def ended(self) -> bool:
        """Whether the campaign's end has come."""
        return self._standing is not None and self._standing.ended(self._clock.now())

    @property
    def budget(self) -> Budget:
        """What the campaign's messages may cost, by the last look."""
        if self._standing is not None:
            return self._standing.budget
        return Budget(self.execution.budget, self.execution.sequence)

    def sends_until(self, execution: Execution) -> float:
        """Until when (loop time) the last look lets messages of `execution` be dispatched."""
        standing = self._standing
        if standing is None or not standing.underway or standing.life != execution.life:
            return -math.inf
        until = self._looked + self._trust
        if standing.end_date is not None:
            left = (standing.end_date - self._clock.now()).total_seconds()
            until = min(until, asyncio.get_running_loop().time() + left)
        return until
