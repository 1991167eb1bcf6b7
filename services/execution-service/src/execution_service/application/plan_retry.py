"""Planning a retry: those it is meant for, cut into shards of one step each.

As with an audience, each shard is committed together with the cursor that stands behind its last contact, so
a planner that dies is followed by one that goes on there. A shard has with each contact the outcome that
the retry will take the place of.
"""

from datetime import timedelta

from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from execution_service.application.ports_engine import Executions, PlanLease, Shards
from execution_service.application.retried_contacts import RetriedContacts
from execution_service.domain.execution import Plan
from execution_service.domain.retrying import Retried
from execution_service.domain.sampling import share_out
from execution_service.domain.window import shard_size


class PlanRetry:
    """Plans what the planner has leased."""

    def __init__(
        self,
        *,
        retried: RetriedContacts,
        executions: Executions,
        shards: Shards,
        transactions: Transactions,
        clock: Clock,
        shard_size: int,
        lease_seconds: float,
    ) -> None:
        self._retried = retried
        self._executions = executions
        self._shards = shards
        self._transactions = transactions
        self._clock = clock
        self._shard_size = shard_size
        self._lease = timedelta(seconds=lease_seconds)

    async def __call__(self, lease: PlanLease) -> Plan:
        """Cut everybody behind the plan's cursor into shards; the plan as far as it is then.

        Raises LeaseLost.
        """
        execution, plan = lease.execution, lease.execution.plan
        held: list[Retried] = []
        renewed = self._clock.now()
        async for contact in self._retried.walk(execution, after=plan.last_key):
            if contact is not None:
                round_ = plan.shards // execution.parts
                most = shard_size(round_, most=self._shard_size) * execution.parts
                if held and (len(held) >= most or contact.step != held[0].step):
                    plan = await self._commit(lease, plan, held)
                    held, renewed = [], self._clock.now()
                held.append(contact)
            if self._clock.now() - renewed > self._lease / 3:
                renewed = self._clock.now()
                await self._executions.renew(lease, until=renewed + self._lease)
        return await self._commit(lease, plan, held) if held else plan

    async def _commit(self, lease: PlanLease, plan: Plan, contacts: list[Retried]) -> Plan:
        """A shard for each bot and the cursor behind them, together or not at all."""
        execution, now = lease.execution, self._clock.now()
        shared = share_out(contacts, execution.parts, by=lambda contact: contact.contact_id)
        after = Plan(contacts[-1].key, plan.shards + len(shared), plan.targeted + len(contacts))

        async def work(tx: Tx) -> None:
            await self._executions.advance(tx, lease, after, until=now + self._lease)
            for number, (part, some) in enumerate(shared.items(), plan.shards):
                await self._shards.add_retry(tx, execution, number=number, part=part, contacts=some, due=now)

        await self._transactions.run(work)
        return after
