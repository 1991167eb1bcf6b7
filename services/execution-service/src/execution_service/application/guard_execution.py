"""Hold an execution whose latest answers trip one of its organisation's guard rails.

Asked after a window was closed, by the worker that closed it. What it decides from is stored, so a worker
that dies in between leaves nothing out: the next window with an error decides. Several workers may decide
at once: the execution is moved by compare-and-set together with the event, so one of them holds it.
"""

from collections.abc import Sequence

from contracts.envelope import Envelope, new_event
from contracts.events.campaign import Failure
from contracts.events.execution import ExecutionPaused
from service_kit.clock import Clock
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.finish_execution import SOURCE
from execution_service.application.ports_engine import Executions, Ledger, Shards
from execution_service.application.ports_settings import RunSettings
from execution_service.application.run_again import run_again
from execution_service.domain import steering
from execution_service.domain.execution import UNDERWAY, Execution
from execution_service.domain.guard_rails import Tripped, looks_bad, needed, tripped
from execution_service.domain.outcomes import Back, Final

log = get_logger()


class GuardExecution:
    """Looks at what came of a window."""

    def __init__(
        self,
        *,
        settings: RunSettings,
        executions: Executions,
        shards: Shards,
        ledger: Ledger,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._executions = executions
        self._shards = shards
        self._ledger = ledger
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock

    async def __call__(self, execution: Execution, results: Sequence[Final | Back]) -> bool:
        """Hold the execution if `results`, which are stored, are the ones too many; whether this call did."""
        if execution.test_mode or not looks_bad(results):
            return False
        found = await self._executions.get(execution.execution_id)
        if found is None or found.status not in UNDERWAY:
            return False
        since = found.resumed_at or found.started_at or found.created_at
        rails = (await self._settings.of(execution.org, execution.execution_id)).guard_rails
        answers = await self._ledger.answers(
            found.execution_id, since=since, now=self._clock.now(), enough=needed(rails)
        )
        reason = tripped(answers, rails)
        if reason is None or await self._nobody_is_left(found):
            return False
        return await self._hold(found, reason)

    async def _nobody_is_left(self, execution: Execution) -> bool:
        return execution.plan.done and not await self._shards.any_undone(execution.execution_id)

    async def _hold(self, seen: Execution, reason: Tripped) -> bool:
        """Hold it unless it was resumed, or otherwise moved, since it was `seen`."""

        async def work(tx: Tx) -> bool:
            now, found = self._clock.now(), await self._executions.load(tx, seen.execution_id)
            same = found is not None and (found.life, found.resumed_at) == (seen.life, seen.resumed_at)
            if found is None or not same or found.status not in UNDERWAY:
                return False
            await self._executions.steer(tx, found, steering.pause(found), now=now)
            await self._outbox.add(tx, self._paused(found, reason))
            return True

        held = await run_again(self._transactions, work)
        if held:
            log.warning("execution.held", execution_id=seen.execution_id, org=seen.org,
                        campaign_id=seen.campaign_id, code=reason.code)  # fmt: skip
        return held

    def _paused(self, execution: Execution, reason: Tripped) -> Envelope[ExecutionPaused]:
        now = self._clock.now()
        return new_event(
            ExecutionPaused(
                campaign_id=execution.campaign_id,
                execution_id=execution.execution_id,
                reason=Failure(code=reason.code, message=reason.message),
                followed=execution.sequence,
                paused_at=now,
            ),
            source=SOURCE,
            subject=execution.campaign_id,
            org=execution.org,
            time=now,
        )
