"""The last two decisions before a window: does the frequency cap allow a letter, does the budget pay for it.

Unlike the others they depend on what is sent elsewhere at the same moment. So a look decides who gets
slots, and the transaction that opens the window counts its letters on the condition that the look still
holds; if not, it is decided again, and the letters that are left keep their slots.

Nobody is skipped for the budget's sake while a message is under way that may yet be given back: the
runner waits for it. So exactly as many are sent as the budget pays for.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from service_kit.clock import Clock
from service_kit.ports import Transactions, Tx

from execution_service.application.campaign_spending import CampaignSpending
from execution_service.application.counts import Count, reserved
from execution_service.application.ports_counting import CountMoved, RecentSends, Spending
from execution_service.application.ports_engine import ShardLease, Window
from execution_service.application.ports_sending import Slot
from execution_service.application.ports_settings import RunSettings
from execution_service.application.prepare_window import Letter, Prepared
from execution_service.application.record_window import RecordWindow
from execution_service.domain.execution import Budget, Execution
from execution_service.domain.org_settings import FrequencyCap, affordable
from execution_service.domain.outcomes import Candidate, passed_over
from execution_service.domain.recent_sends import Block, block_of, by_block

IN_FLIGHT_SECONDS = 0.25
"""Pause between two looks whether messages under way leave something of the budget."""
_ATTEMPTS = 10
_MOST = 2**53
_REMEMBERED = 10_000


class NothingPaid(Exception):
    """The budget pays for no message, and this execution has sent none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is counted. `messages`: how many the campaign may send in all its runs; None: any number.

    `edition`: of the campaign and of the settings that they come from.
    """

    messages: int | None = None
    cap: FrequencyCap | None = None
    edition: tuple[int, int] = (0, 0)


UNLIMITED = Limits()


@dataclass(frozen=True, slots=True)
class Look:
    """The letters that `limits` allowed just now, among those decided; `blocks`: what the cap was judged by.

    `most`: how far the campaign's count may go, given what it has not been told. Without anything to do all
    of them wait for messages under way.
    """

    prepared: Prepared
    limits: Limits = UNLIMITED
    most: int | None = None
    blocks: Mapping[int, Block] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored intent: its letters, their slots, and what was counted for them."""

    window: Window
    prepared: Prepared
    slots: Sequence[Slot]
    count: Count | None


class CountWindow:
    """Decides and opens the windows of all runners of a process. `reach_seconds`: a window is sent within."""

    def __init__(
        self,
        *,
        settings: RunSettings,
        spending: Spending,
        campaigns: CampaignSpending,
        sends: RecentSends,
        transactions: Transactions,
        clock: Clock,
        reach_seconds: float,
    ) -> None:
        self._settings = settings
        self._spending = spending
        self._campaigns = campaigns
        self._sends = sends
        self._transactions = transactions
        self._clock = clock
        self._reach = timedelta(seconds=reach_seconds)
        self._telling = asyncio.Lock()
        self._told: dict[str, tuple[int, int]] = {}
        self._spent_up: dict[str, int] = {}

    async def limits(self, execution: Execution, budget: Budget) -> Limits:
        """What holds for `execution` now; nothing for a test."""
        if execution.test_mode:
            return UNLIMITED
        settings = await self._settings.of(execution.org, execution.execution_id)
        messages = None if budget.amount is None else affordable(budget.amount, settings.cost_per_message)
        if messages is None and settings.frequency_cap is None:
            return UNLIMITED
        most = None if messages is None else min(messages, _MOST)
        return Limits(most, settings.frequency_cap, (budget.sequence, settings.version))

    def spent_up(self, execution: Execution, limits: Limits) -> bool:
        """Whether the last look found nothing left of this budget: then a window needs no slots."""
        return limits.messages is not None and self._spent_up.get(execution.execution_id) == limits.messages

    async def look(self, lease: ShardLease, execution: Execution, limits: Limits, prepared: Prepared) -> Look:
        """Decide about the letters among `prepared`. Raises NothingPaid."""
        blocks: Mapping[int, Block] = {}
        if limits.cap is not None and prepared.letters:
            numbers = {block_of(letter.ordinal) for letter in prepared.letters}
            blocks = await self._sends.read(lease.org, numbers)
            prepared = self._uncapped(prepared, limits.cap, blocks, _message(lease))
        most = limits.messages
        if most is not None and prepared.letters:
            most -= await self._untold(lease, execution, limits)
            prepared = await self._paid(lease, execution, most, prepared)
        return Look(prepared, limits, most, blocks)

    async def open(
        self,
        record: RecordWindow,
        lease: ShardLease,
        execution: Execution,
        budget: Budget,
        look: Look,
        slots: Sequence[Slot],
    ) -> Opened | None:
        """Record the intent and count its letters; None when all of them must wait for others under way.

        Raises LeaseLost, NothingPaid.
        """
        limits = await self.limits(execution, budget)
        moved = limits != look.limits
        for _ in range(_ATTEMPTS):
            if moved:
                letters = look.prepared.letters
                look = await self.look(lease, execution, limits, look.prepared)
                if look.prepared.waits:
                    return None
                slots = _kept(letters, slots, look.prepared)
            count = self._count(lease, look)
            try:
                window = await record.open(lease, execution, look.prepared, count)
            except CountMoved:
                moved = True
            else:
                return Opened(window, look.prepared, slots, count)
        return None

    def _count(self, lease: ShardLease, look: Look) -> Count | None:
        limits, letters, now = look.limits, look.prepared.letters, self._clock.now()
        if limits == UNLIMITED:
            return None
        message, cap = _message(lease), limits.cap
        if cap is None or not letters:
            return Count(look.most, message)
        ordinals = {letter.candidate.position: letter.ordinal for letter in letters}
        reached = now + self._reach
        blocks = [
            look.blocks[number].take(some, message, until=reached, cap=cap, now=now)
            for number, some in by_block(ordinals.values()).items()
        ]
        return Count(look.most, message, blocks, ordinals, reached + timedelta(hours=cap.hours))

    def _uncapped(
        self, prepared: Prepared, cap: FrequencyCap, blocks: Mapping[int, Block], message: str
    ) -> Prepared:
        """Without those who have got as much as `cap` allows."""
        now = self._clock.now()
        over = frozenset[int]().union(
            *(block.over(cap, now=now, message=message) for block in blocks.values())
        )
        capped = {letter.candidate.position for letter in prepared.letters if letter.ordinal in over}
        return _decided(prepared, capped, "FREQUENCY_CAP", at=now)

    async def _paid(self, lease: ShardLease, execution: Execution, most: int, prepared: Prepared) -> Prepared:
        """Without those whom the budget does not pay for: skipped, or left for later. Raises NothingPaid."""
        paying = reserved(lease, [letter.candidate for letter in prepared.letters])
        left = most - lease.state.account.untold - await self._spending.messages(lease.campaign_id)
        if left >= len(paying):
            self._spent_up.pop(execution.execution_id, None)
            return prepared
        if left > 0:
            return prepared.before(paying[left])
        return await self._unpaid(execution, most, prepared, paying)

    async def _unpaid(
        self, execution: Execution, most: int, prepared: Prepared, paying: Sequence[Candidate]
    ) -> Prepared:
        """When nothing seems to be left, at one moment of the database."""

        async def work(tx: Tx) -> tuple[int, bool, bool]:
            messages = await self._spending.messages(execution.campaign_id, tx=tx)
            shards = await self._spending.accounts(execution.execution_id, tx=tx)
            in_flight = any(shard.account.reserved for shard in shards)
            messages += sum(shard.account.untold for shard in shards)
            return messages, in_flight, any(shard.sent for shard in shards)

        messages, in_flight, sent = await self._transactions.run(work)
        if messages < most or in_flight:
            return prepared.before(paying[0])
        if not sent:
            raise NothingPaid(execution.execution_id)
        if len(self._spent_up) > _REMEMBERED:
            self._spent_up.clear()
        self._spent_up[execution.execution_id] = most
        positions = {candidate.position for candidate in paying}
        return _decided(prepared, positions, "BUDGET_EXHAUSTED", at=self._clock.now())

    async def _untold(self, lease: ShardLease, execution: Execution, limits: Limits) -> int:
        """What was sent while nobody counted, and cannot be told to the count yet: it is in others' hands.

        Asked again under another edition: there may have been one without a budget in between.
        """
        if self._told.get(execution.execution_id) == limits.edition:
            return 0
        async with self._telling:  # one runner for all: the others find it done
            if self._told.get(execution.execution_id) == limits.edition:
                return 0
            untold = await self._campaigns.tell(execution.org, execution.campaign_id)
            if not untold:
                if len(self._told) > _REMEMBERED:
                    self._told.clear()
                self._told[execution.execution_id] = limits.edition
        return sum(messages for shard, messages in untold.items() if shard != lease.shard_id)


def _message(lease: ShardLease) -> str:
    """What the cap counts once for a contact, however often it is tried."""
    return f"{lease.execution_id}/{lease.state.step}"


def _kept(letters: Sequence[Letter], slots: Sequence[Slot], prepared: Prepared) -> list[Slot]:
    """The slots, one for each of `letters`, of those that are still letters of `prepared`."""
    left = {letter.candidate.position for letter in prepared.letters}
    pairs = zip(letters, slots, strict=True)
    return [slot for letter, slot in pairs if letter.candidate.position in left]


def _decided(prepared: Prepared, positions: Collection[int], code: str, *, at: datetime) -> Prepared:
    """With the letters at `positions` passed over."""
    return replace(
        prepared,
        items=[
            passed_over(item.candidate, code, at=at)
            if isinstance(item, Letter) and item.candidate.position in positions
            else item
            for item in prepared.items
        ],
    )
