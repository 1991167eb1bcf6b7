"""Planning: the audience is walked once and cut into shards.

Some shards are committed together with the cursor that stands behind their last contact, on the condition
that the planner still holds the lease. A planner that dies anywhere is followed by one that goes on
behind the last committed shards: nobody is lost, nobody comes twice. Memory: those and what the walk holds.
"""

from datetime import timedelta

from contracts.envelope import new_event
from contracts.events.execution import ExecutionPlanned
from service_kit.clock import Clock
from service_kit.errors import FieldErrors
from service_kit.logging import get_logger
from service_kit.ports import Outbox, Transactions, Tx

from execution_service.application.cut_shards import CutShards, Cutting
from execution_service.application.finish_execution import SOURCE, FinishExecution
from execution_service.application.plan_retry import PlanRetry
from execution_service.application.ports_audience import Audience
from execution_service.application.ports_engine import Executions, LeaseLost, PlanLease, Shards
from execution_service.application.ports_sending import Senders
from execution_service.domain.audience import AudienceRule
from execution_service.domain.execution import Execution, Plan
from execution_service.domain.sampling import in_sample

log = get_logger()


class PlanExecution:
    """Leases executions in planning, one at a time, and plans them to the end."""

    def __init__(
        self,
        *,
        executions: Executions,
        shards: Shards,
        audience: Audience,
        senders: Senders,
        finish: FinishExecution,
        plan_retry: PlanRetry,
        cut: CutShards,
        transactions: Transactions,
        outbox: Outbox,
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._audience = audience
        self._senders = senders
        self._finish = finish
        self._plan_retry = plan_retry
        self._cut = cut
        self._transactions = transactions
        self._outbox = outbox
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)

    async def run_once(self, owner: str) -> bool:
        """Plan one execution as `owner`; False when none waits."""
        now = self._clock.now()
        lease = await self._executions.lease_planning(owner, now=now, until=now + self._lease)
        if lease is None:
            return False
        try:
            await self._plan(lease)
        except LeaseLost:
            log.info("plan.lease_lost", execution_id=lease.execution.execution_id)
        return True

    async def _plan(self, lease: PlanLease) -> None:
        execution = lease.execution
        rule = None if execution.retry else await self._rule(execution)
        if rule is None and execution.retry is None:
            return
        bots = await self._senders.resolve(execution.org, execution.snapshot.named_bots)
        if not bots:
            await self._finish.fail(execution, "BOT_MISSING")
            return
        await self._executions.choose_bots(lease, bots)
        plan = await (self._plan_retry(lease) if rule is None else self._walk(lease, rule, execution.plan))
        await self._conclude(lease, plan)
        log.info(
            "execution.planned", execution_id=execution.execution_id, org=execution.org,
            campaign_id=execution.campaign_id, targeted=plan.targeted, shards=plan.shards,
        )  # fmt: skip
        await self._finish.if_complete(execution)

    async def _rule(self, execution: Execution) -> AudienceRule | None:
        """Whom it is for; None when nobody can say, which fails it."""
        audience = execution.snapshot.audience
        try:
            return await self._audience.rule(execution.org, audience)
        except FieldErrors as error:
            log.warning("plan.audience_invalid", execution_id=execution.execution_id, reason=error.message)
            await self._finish.fail(execution, "AUDIENCE_INVALID")
            return None

    async def _walk(self, lease: PlanLease, rule: AudienceRule, plan: Plan) -> Plan:
        """Cut everybody behind `plan.last_key` into shards."""
        execution = lease.execution
        held, cutting = list[str](), self._cut.begin(execution)
        renewed = self._clock.now()
        options, seed = execution.snapshot.options, execution.snapshot.sampling_seed
        async for member in self._audience.members(
            execution.org, rule, testers_only=options.test_mode, after=plan.last_key
        ):
            if member.contact_id and in_sample(seed, member.contact_id, options.target_percentage):
                held.append(member.contact_id)
            if len(held) >= cutting.enough(plan.shards):
                plan = await self._commit(lease, plan, held, member.key, cutting)
                held, renewed = [], self._clock.now()
            elif self._clock.now() - renewed > self._lease / 3:
                renewed = self._clock.now()
                await self._executions.renew(lease, until=renewed + self._lease)
            last_key = member.key
        return await self._commit(lease, plan, held, last_key, cutting) if held else plan

    async def _commit(
        self, lease: PlanLease, plan: Plan, contacts: list[str], last_key: str, cutting: Cutting
    ) -> Plan:
        """A shard for each bot and clock and the cursor behind them, together or not at all."""
        execution, now = lease.execution, self._clock.now()
        cuts = await self._cut(execution, contacts, cutting, shards=plan.shards, by=str)
        after = Plan(
            last_key=last_key, shards=plan.shards + len(cuts), targeted=plan.targeted + len(contacts)
        )

        async def work(tx: Tx) -> None:
            await self._executions.advance(tx, lease, after, until=now + self._lease)
            for number, cut in enumerate(cuts, plan.shards):
                await self._shards.add(
                    tx,
                    execution,
                    number=number,
                    part=cut.part,
                    contacts=cut.contacts,
                    due=now,
                    hours=cut.hours,
                )

        await self._transactions.run(work)
        return after

    async def _conclude(self, lease: PlanLease, plan: Plan) -> None:
        """The plan is done: the execution runs, and `execution.planned` says so."""
        execution, now = lease.execution, self._clock.now()
        event = new_event(
            ExecutionPlanned(
                campaign_id=execution.campaign_id,
                execution_id=execution.execution_id,
                test_mode=execution.test_mode,
                targeted=plan.targeted,
                shards=plan.shards,
                planned_at=now,
            ),
            source=SOURCE,
            subject=execution.campaign_id,
            org=execution.org,
            time=now,
        )

        async def work(tx: Tx) -> None:
            await self._executions.planned(tx, lease, plan, at=now)
            await self._outbox.add(tx, event)

        await self._transactions.run(work)
