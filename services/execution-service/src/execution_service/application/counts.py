"""What a window takes from the campaign's budget and its contacts' frequency caps, and gives back.

Taken in the transaction that opens the window, given back in the one that closes it: a window that is
left open by a crash may have been sent, so it stays counted. Two windows that count the same thing at
once meet in the database, and the later one runs again; runners of one process wait for each other
instead.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from weakref import WeakValueDictionary

from service_kit.ports import Tx

from execution_service.application.ports_counting import CountMoved, RecentSends, Spending
from execution_service.application.ports_engine import ShardLease
from execution_service.domain.outcomes import Back, Candidate, Final
from execution_service.domain.recent_sends import Block, by_block
from execution_service.domain.retrying import Former
from execution_service.domain.spending import Account, is_paid


@dataclass(frozen=True, slots=True)
class Count:
    """What is counted of one window. `most`: messages that the campaign may send in all; None: any number.

    `blocks`: its contacts' sends as they are with it, `ordinals` of its letters by position; both are empty
    without a cap. `until`: when its sends stop to matter.
    """

    most: int | None
    message: str
    blocks: Sequence[Block] = ()
    ordinals: Mapping[int, int] = field(default_factory=dict)
    until: datetime | None = None


class Counts:
    """Takes and gives back, in the transactions of windows."""

    def __init__(self, *, spending: Spending, sends: RecentSends) -> None:
        self._spending = spending
        self._sends = sends
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, lease: ShardLease, *, counted: bool) -> AsyncIterator[None]:
        """Hold the campaign's count, within this process, while it is written."""
        if not counted:
            yield
            return
        turn = self._turns.setdefault(lease.campaign_id, asyncio.Lock())
        async with turn:
            yield

    async def take(self, tx: Tx, lease: ShardLease, account: Account, count: Count) -> None:
        """Count a window that leaves the shard with `account`.

        Raises CountMoved when the budget does not pay for it, or a contact has got another message meanwhile.
        """
        if count.until is not None:
            await self._sends.write(tx, lease.org, count.blocks, until=count.until)
        if count.most is None or not account.untold:
            return
        # Who sends nothing may tell of what was sent before, however much it is.
        most = count.most if account.reserved else None
        if not await self._spending.add(tx, lease.campaign_id, account.untold, most=most):
            raise CountMoved(lease.campaign_id)

    async def give_back(
        self,
        tx: Tx,
        lease: ShardLease,
        account: Account,
        results: Sequence[Final | Back],
        count: Count | None,
    ) -> None:
        """Count what became of the window that leaves the shard with `account`."""
        if count is not None and count.until is not None:
            places = filter(count.ordinals.__contains__, map(_undelivered, results))
            ordinals = by_block(count.ordinals[place] for place in places)
            blocks = await self._sends.read(lease.org, ordinals, tx=tx) if ordinals else {}
            without = [block.drop(ordinals[number], count.message) for number, block in blocks.items()]
            await self._sends.write(tx, lease.org, without, until=count.until)
        if account.told is not None and account.untold:
            await self._spending.add(tx, lease.campaign_id, account.untold)


def former_of(lease: ShardLease, position: int) -> Former | None:
    """The outcome that one of the present step takes the place of."""
    return lease.former[position] if lease.former and lease.state.step == lease.first_step else None


def reserved(lease: ShardLease, candidates: Iterable[Candidate]) -> list[Candidate]:
    """Those of `candidates` whose message of the present step has not been counted yet."""
    return [item for item in candidates if not is_paid(item, former_of(lease, item.position))]


def _undelivered(result: Final | Back) -> int:
    """The position of a contact that certainly did not get the message, else -1."""
    if isinstance(result, Back):
        return -1 if result.candidate.unanswered else result.candidate.position
    return result.position if result.status in ("failed", "skipped") else -1
