"""Planning a retry: those it is meant for, cut into shards of one step each.

As with an audience, shards are committed together with the cursor that stands behind their last contact, so
a planner that dies is followed by one that goes on there. A shard has with each contact the outcome that
the retry will take the place of.
"""

from datetime import timedelta

from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from execution_service.application.cut_shards import CutShards, Cutting
from execution_service.application.ports_engine import Executions, PlanLease, Shards
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.domain.execution import Plan
from execution_service.domain.retrying import Retried


class PlanRetry:
    """Plans what the planner has leased."""

    def __init__(
        self,
        *,
        retried: RetriedContacts,
        executions: Executions,
        shards: Shards,
        cut: CutShards,
        transactions: Transactions,
        clock: Clock,
        lease_seconds: float,
    ) -> None:
        self._retried = retried
        self._executions = executions
        self._shards = shards
        self._cut = cut
        self._transactions = transactions
        self._clock = clock
        self._lease = timedelta(seconds=lease_seconds)

    async def __call__(self, lease: PlanLease) -> Plan:
        """Cut everybody behind the plan's cursor into shards; the plan as far as it is then.

        Raises LeaseLost.
        """
        execution, plan = lease.execution, lease.execution.plan
        held, cutting = list[Retried](), self._cut.begin(execution)
        renewed = self._clock.now()
        async for contact in self._retried.walk(execution, after=plan.last_key):
            if contact is not None:
                enough = len(held) >= cutting.enough(plan.shards)
                if held and (enough or contact.step != held[0].step):
                    plan = await self._commit(lease, plan, held, cutting)
                    held, renewed = [], self._clock.now()
                held.append(contact)
            if self._clock.now() - renewed > self._lease / 3:
                renewed = self._clock.now()
                await self._executions.renew(lease, until=renewed + self._lease)
        return await self._commit(lease, plan, held, cutting) if held else plan

    async def _commit(self, lease: PlanLease, plan: Plan, contacts: list[Retried], cutting: Cutting) -> Plan:
        """A shard for each bot and clock and the cursor behind them, together or not at all."""
        execution, now = lease.execution, self._clock.now()
        cuts = await self._cut(
            execution, contacts, cutting, shards=plan.shards, by=lambda contact: contact.contact_id
        )
        after = Plan(contacts[-1].key, plan.shards + len(cuts), plan.targeted + len(contacts))

        async def work(tx: Tx) -> None:
            await self._executions.advance(tx, lease, after, until=now + self._lease)
            for number, cut in enumerate(cuts, plan.shards):
                await self._shards.add_retry(
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
