"""How an execution ends by itself: completed when all have an outcome, failed when it cannot go on at all.

Both are one compare-and-set together with the event that tells of it, so whoever comes first (the
worker of the last shard, the planner, the sweep after a crash) ends it, and nobody twice.
"""

from contracts.envelope import new_event
from contracts.events.campaign import Failure
from contracts.events.execution import ExecutionCompleted, ExecutionFailed
from contracts.outcome_codes import MESSAGES
from service_kit.clock import Clock
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.ports_engine import Executions, Shards
from execution_service.domain.execution import UNDERWAY, Execution

log = get_logger()
SOURCE = "execution-service"


class FinishExecution:
    """Ends executions."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock

    async def if_complete(self, execution: Execution) -> bool:
        """Complete it if it is planned to the end and no shard is left; whether this call did."""
        execution_id = execution.execution_id
        standing = await self._executions.standing(execution_id)
        if standing is None or standing.status != "running":
            return False
        if await self._shards.any_undone(execution_id):
            return False
        totals = (await self._shards.sums(execution_id)).totals()
        now = self._clock.now()
        event = new_event(
            ExecutionCompleted(
                campaign_id=execution.campaign_id,
                execution_id=execution_id,
                test_mode=execution.test_mode,
                totals=totals,
                completed_at=now,
            ),
            source=SOURCE,
            subject=execution.campaign_id,
            org=execution.org,
            time=now,
        )

        async def work(tx: Tx) -> bool:
            closed = await self._executions.close(
                tx, execution_id, status="completed", among=frozenset({"running"}), at=now, totals=totals
            )
            if closed:
                await self._outbox.add(tx, event)
            return closed

        closed = await self._transactions.run(work)
        if closed:
            log.info("execution.completed", execution_id=execution_id, org=execution.org,
                     campaign_id=execution.campaign_id, **totals.model_dump())  # fmt: skip
        return closed

    async def fail(self, execution: Execution, code: str) -> bool:
        """Stop this life of it as a whole for the reason `code`; whether this call did."""
        execution_id = execution.execution_id
        sums = await self._shards.sums(execution_id)
        now, message = self._clock.now(), MESSAGES[code]
        event = new_event(
            ExecutionFailed(
                campaign_id=execution.campaign_id,
                execution_id=execution_id,
                test_mode=execution.test_mode,
                failure=Failure(code=code, message=message),
                totals=sums.totals(),
                shards_failed=sums.undone,
                failed_at=now,
            ),
            source=SOURCE,
            subject=execution.campaign_id,
            org=execution.org,
            time=now,
        )

        async def work(tx: Tx) -> bool:
            closed = await self._executions.close(
                tx,
                execution_id,
                status="failed",
                among=UNDERWAY,
                at=now,
                failure=(code, message),
                life=execution.life,
            )
            if closed:
                await self._outbox.add(tx, event)
            return closed

        closed = await self._transactions.run(work)
        if closed:
            log.warning("execution.failed", execution_id=execution_id, org=execution.org,
                        campaign_id=execution.campaign_id, code=code)  # fmt: skip
        return closed

    async def sweep(self) -> None:
        """Bring about what follows from how things are, where a crash or a race left it out.

        Parked shards of what is underway become due, those of a campaign that has ended at once, and what
        is complete is completed. Doing so once too often is harmless: a worker looks before it sends.
        """
        for standing in await self._executions.underway():
            now = self._clock.now()
            await self._shards.unpark(standing.execution_id, due=now)
            if standing.ended(now):
                await self._shards.hurry(standing.execution_id, due=now)
            execution = await self._executions.get(standing.execution_id)
            if execution is not None:
                await self.if_complete(execution)
