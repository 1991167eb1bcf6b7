"""What a campaign has spent over all its runs, tests excepted, and telling its count of it.

The count is kept only while a budget is in force, so it may know nothing of what was sent before. Each
shard has an account of its own, and each process that begins to count tells the count of all accounts it
does not know.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from service_kit.ports import Transactions, Tx

from execution_service.application.ports_counting import ShardAccount, Spending
from execution_service.application.ports_engine import Executions

_PAGE = 100
_AT_ONCE = 50
"""Shards told of in one transaction: some 30 ms."""


class CampaignSpending:
    """Sums and tells the accounts of shards."""

    def __init__(self, *, executions: Executions, spending: Spending, transactions: Transactions) -> None:
        self._executions = executions
        self._spending = spending
        self._transactions = transactions

    async def messages(self, org: str, campaign_id: str) -> int:
        """How many messages the campaign has spent, those included that are under way."""
        return sum([shard.account.total async for shard in self._accounts(org, campaign_id)])

    async def tell(self, org: str, campaign_id: str) -> Mapping[str, int]:
        """Have the campaign's count know all accounts; by shard what it cannot be told yet: it is in hand."""
        await self._spending.begin(org, campaign_id)
        found = [shard async for shard in self._accounts(org, campaign_id)]
        # One in hand may yet be opened by who has not heard of the budget: asked again until it is told.
        new = [
            shard for shard in found if shard.account.told is None and (shard.account.total or shard.leased)
        ]
        untold = {shard.shard_id: shard.account.total for shard in new if shard.leased}
        free = [shard for shard in new if not shard.leased]
        for begin in range(0, len(free), _AT_ONCE):
            untold |= await self._tell(campaign_id, free[begin : begin + _AT_ONCE])
        return untold

    async def _tell(self, campaign_id: str, shards: Sequence[ShardAccount]) -> dict[str, int]:
        """Tell of these, but for those that have changed meanwhile: they are the answer."""

        async def work(tx: Tx) -> dict[str, int]:
            changed = {
                shard.shard_id: shard.account.total
                for shard in shards
                if not await self._spending.tell(tx, shard)
            }
            told = sum(shard.account.total for shard in shards if shard.shard_id not in changed)
            await self._spending.add(tx, campaign_id, told)
            return changed

        return await self._transactions.run(work)

    async def _accounts(self, org: str, campaign_id: str) -> AsyncIterator[ShardAccount]:
        before: str | None = None
        while True:
            runs = await self._executions.runs(org, campaign_id, before=before, limit=_PAGE)
            for run in runs:
                for shard in [] if run.test_mode else await self._spending.accounts(run.execution_id):
                    yield shard
            if len(runs) < _PAGE:
                return
            before = runs[-1].execution_id
