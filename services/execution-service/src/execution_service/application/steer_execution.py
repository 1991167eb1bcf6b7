"""Campaign events that steer executions: schedule, pause, resume, cancel, a new end.

Mental model: each event moves the execution's row by the table in `domain/steering.py`, in one transaction
with the event's mark. Nothing is told to workers: they look at the row before they send. Only after it is
stored are parked shards made due; what a crash leaves out in between, the sweep brings about.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TypeVar, cast

from contracts.envelope import Envelope
from contracts.events.campaign import (
    CampaignCancelled,
    CampaignDeleted,
    CampaignEvent,
    CampaignFailed,
    CampaignPaused,
    CampaignResumed,
    CampaignScheduled,
    CampaignUpdated,
)
from service_kit.clock import Clock
from service_kit.errors import Poison
from service_kit.logging import get_logger
from service_kit.ports import Inbox, Transactions, Tx

from execution_service.application.finish_execution import FinishExecution
from execution_service.application.note_campaign import note_campaign_in
from execution_service.application.ports import AudienceMarks, CampaignAudiences
from execution_service.application.ports_engine import Executions, Shards
from execution_service.application.ports_sending import Senders
from execution_service.application.run_again import run_again
from execution_service.domain import steering
from execution_service.domain.execution import Execution

log = get_logger()

E = TypeVar("E", bound=CampaignEvent)
Step = Callable[[Execution, datetime], Execution]


class SteerExecution:
    """Handlers, one per event. Each raises AlreadyHandled on a repetition."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        senders: Senders,
        finish: FinishExecution,
        campaigns: CampaignAudiences,
        marks: AudienceMarks,
        inbox: Inbox,
        transactions: Transactions,
        clock: Clock,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._senders = senders
        self._finish = finish
        self._campaigns = campaigns
        self._marks = marks
        self._inbox = inbox
        self._transactions = transactions
        self._clock = clock

    async def schedule(self, event: Envelope[CampaignScheduled]) -> None:
        """The execution waits for its time."""
        await self._steer(event, lambda execution, _: steering.schedule(execution), make=True)

    async def pause(self, event: Envelope[CampaignPaused]) -> None:
        """It is held, whatever it was doing."""
        await self._steer(event, lambda execution, _: steering.pause(execution))

    async def resume(self, event: Envelope[CampaignResumed]) -> None:
        """It goes on; with a snapshot, after a failure, in a new life. Raises Poison on other messages."""
        snapshot = event.data.snapshot
        bots = await self._senders.resolve(event.orgid, snapshot.named_bots) if snapshot else ()

        def step(execution: Execution, now: datetime) -> Execution:
            if snapshot is None:
                return steering.resume(execution, now=now)
            return steering.mend(execution, snapshot, bots=bots, now=now)

        try:
            changed = await self._steer(event, step)
        except steering.StepsDiffer as error:
            raise Poison(f"the snapshot has another number of messages than {error}") from error
        for execution in changed:
            await self._shards.unpark(execution.execution_id, due=self._clock.now())
            await self._finish.if_complete(execution)

    async def cancel(self, event: Envelope[CampaignCancelled] | Envelope[CampaignDeleted]) -> None:
        """Whatever of the campaign has not ended stops, the event's own execution and every other."""
        named = event.data.execution_id if isinstance(event.data, CampaignCancelled) else None

        def step(execution: Execution, now: datetime) -> Execution:
            return steering.stop(execution, named=execution.execution_id == named, now=now)

        await self._steer(cast(Envelope[CampaignEvent], event), step, whole_campaign=True)

    async def fail(self, event: Envelope[CampaignFailed]) -> None:
        """A schedule came to nothing; the failure of what had begun was ours to tell."""
        failure = (event.data.failure.code, event.data.failure.message)
        await self._steer(event, lambda execution, now: steering.miss(execution, failure, now=now), make=True)

    async def update(self, event: Envelope[CampaignUpdated]) -> None:
        """The campaign ends at another time, perhaps, or its messages may cost another sum."""
        data = event.data
        # What was written before there were budgets says nothing of one.
        tells_budget = "budget" in data.model_fields_set

        def step(execution: Execution, now: datetime) -> Execution:
            moved = steering.move_end(execution, data.end_date)
            return steering.change_budget(moved, data.budget) if tells_budget else moved

        await self._steer(event, step, whole_campaign=True)

    async def _steer(
        self, event: Envelope[E], step: Step, *, make: bool = False, whole_campaign: bool = False
    ) -> list[Execution]:
        """Apply `step` to the event's execution (made if need be) or to all of the campaign; the changed."""
        general = cast(Envelope[CampaignEvent], event)
        sequence = event.sequence or 0

        async def work(tx: Tx) -> list[Execution]:
            await self._inbox.mark(tx, event.id)
            await note_campaign_in(tx, general, campaigns=self._campaigns, marks=self._marks)
            now = self._clock.now()
            found = await self._found(tx, general, whole_campaign)
            changed = []
            for execution in found:
                if execution.sequence >= sequence:
                    continue  # older than what it followed last, so void, however late it was delivered
                after = step(execution, now)
                await self._executions.steer(tx, execution, replace(after, sequence=sequence), now=now)
                if after is not execution:
                    changed.append(after)
            if make and not found:
                await self._executions.add(tx, step(_unbegun(general, now), now))
            return changed

        changed = await run_again(self._transactions, work)
        for execution in changed:
            log.info("execution.steered", execution_id=execution.execution_id, org=execution.org,
                     campaign_id=execution.campaign_id, by=event.type, status=execution.status)  # fmt: skip
        return changed

    async def _found(self, tx: Tx, event: Envelope[CampaignEvent], whole_campaign: bool) -> list[Execution]:
        if whole_campaign:
            return await self._executions.of_campaign(tx, event.orgid, event.data.campaign_id)
        if event.data.execution_id is None:
            return []
        execution = await self._executions.load(tx, event.data.execution_id)
        return [execution] if execution is not None else []


def _unbegun(event: Envelope[CampaignEvent], now: datetime) -> Execution:
    assert event.data.execution_id is not None  # noqa: S101 - only for events that carry it
    return Execution(
        execution_id=event.data.execution_id,
        org=event.orgid,
        campaign_id=event.data.campaign_id,
        status="scheduled",
        frozen=None,
        created_at=now,
        sequence=event.sequence or 0,
    )
