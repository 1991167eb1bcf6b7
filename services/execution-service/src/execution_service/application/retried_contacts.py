"""Whom a retry goes to: a walk over the ledgers of the campaign's runs so far.

The first run's shards are walked by number, once for every step (all contacts of a shard go on at the same
one). A shard in which all have succeeded cannot have anybody. Of the others each contact's outcome is looked
up, and what later runs made of it is laid over: their shards have contacts in the same order, so few of them
concern one shard of the first run, and neighbours share them.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence

from contracts.events.campaign import Retry

from execution_service.application.ports_engine import Executions, Shards
from execution_service.application.ports_ledger_pages import LedgerPages, Standpoint
from execution_service.domain.execution import Execution
from execution_service.domain.retrying import Former, Place, Retried, chosen, count_chosen, read_key

_KEPT = 32
"""Shards of later runs that are kept for the next shard of the first one."""
_CHUNK = 100


class RetriedContacts:
    """Finds the contacts that retries are meant for."""

    def __init__(self, *, executions: Executions, shards: Shards, pages: LedgerPages) -> None:
        self._executions = executions
        self._shards = shards
        self._pages = pages

    async def count(self, retry: Retry) -> int:
        """How many there are, from the sums over the runs' shards."""
        runs = await self._chain(retry)
        return count_chosen(retry, [await self._shards.sums(run.execution_id) for run in runs])

    async def walk(self, execution: Execution, *, after: str) -> AsyncIterator[Retried | None]:
        """Those of the retry `execution` behind the key `after`, by step and place.

        None now and then, so that whoever waits for the next one can do something else.
        """
        retry = execution.retry
        runs = await self._chain(retry) if retry is not None else []
        if retry is None or not runs:
            return
        standpoints = _Standpoints(self._pages, runs)
        first_step, since = read_key(after)
        for step in range(first_step, len(execution.snapshot.messages)):
            begin = since if step == first_step else Place(0, -1)
            async for number in self._unsuccessful(runs[0], begin.shard):
                for stand in await standpoints.of(number):
                    if stand.place > begin and stand.step == step and _meant(retry, stand):
                        former = Former.of(stand.final, stand.message_id)
                        yield Retried(stand.contact_id, step, stand.place, former)
                yield None

    async def _chain(self, retry: Retry) -> list[Execution]:
        """The runs so far, the one that walked the audience first; empty when one is not there any more."""
        runs: list[Execution] = []
        execution_id: str | None = retry.of
        while execution_id is not None:
            run = await self._executions.get(execution_id)
            if run is None or not run.begun:
                return []
            runs.append(run)
            execution_id = run.retry.of if run.retry else None
        return runs[::-1]

    async def _unsuccessful(self, run: Execution, first: int) -> AsyncIterator[int]:
        for begin in range(first, run.plan.shards, _CHUNK):
            numbers = range(begin, min(begin + _CHUNK, run.plan.shards))
            for number in await self._pages.unsuccessful(run.execution_id, numbers):
                yield number


def _meant(retry: Retry, stand: Standpoint) -> bool:
    return bool(stand.contact_id) and chosen(retry, stand.final.status, stand.final.code)


class _Standpoints:
    """How far contacts have come in a chain of runs; for one walk."""

    def __init__(self, pages: LedgerPages, runs: Sequence[Execution]) -> None:
        self._pages = pages
        self._first = runs[0].execution_id
        self._later = [run.execution_id for run in runs[1:]]
        self._spans: dict[str, Sequence[tuple[int, int, int]]] = {}
        self._kept: OrderedDict[tuple[str, int], Sequence[Standpoint]] = OrderedDict()

    async def of(self, number: int) -> list[Standpoint]:
        """Of the contacts of the first run's shard `number`, by place."""
        found = {stand.place: stand for stand in await self._pages.shard(self._first, number)}
        for execution_id in self._later:
            if execution_id not in self._spans:
                self._spans[execution_id] = await self._pages.spans(execution_id)
            for shard, first, last in self._spans[execution_id]:
                if first <= number <= last:
                    stands = await self._shard(execution_id, shard)
                    found.update({stand.place: stand for stand in stands if stand.place.shard == number})
        return [found[place] for place in sorted(found)]

    async def _shard(self, execution_id: str, number: int) -> Sequence[Standpoint]:
        known = self._kept.get((execution_id, number))
        if known is None:
            known = self._kept[execution_id, number] = await self._pages.shard(execution_id, number)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return known
