"""How far a campaign's execution is, and who got what."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from contracts.ids import created_at
from service_kit.clock import Clock

from execution_service.application.ports_engine import Executions, Ledger, LedgerRow, Shards
from execution_service.domain.errors_engine import CampaignNotFound, CursorInvalid, ExecutionNotFound
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Status
from execution_service.domain.progress import IDLE, RATE_SECONDS, Progress, measure

_YOUNG_SECONDS = 10
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Recipient:
    """A ledger row with the campaign's message it is about."""

    row: LedgerRow
    message_id: str


@dataclass(frozen=True, slots=True)
class Recipients:
    """A page of the ledger. `counts` (all rows by status) comes with the first page only."""

    execution_id: str | None
    recipients: list[Recipient]
    next_cursor: str | None
    counts: Mapping[Status, int] | None


class ShowProgress:
    """Reads executions. `wait_seconds`: how long to wait for a campaign that was created just now."""

    def __init__(
        self, *, executions: Executions, shards: Shards, ledger: Ledger, clock: Clock, wait_seconds: float
    ) -> None:
        self._executions = executions
        self._shards = shards
        self._ledger = ledger
        self._clock = clock
        self._wait = wait_seconds

    async def progress(
        self, org: str, campaign_id: str, execution_id: str | None, *, deleted_too: bool
    ) -> Progress:
        """Of the latest execution or the one asked for. Raises CampaignNotFound, ExecutionNotFound.

        `deleted_too`: also when the campaign has been deleted.
        """
        execution = await self._execution(org, campaign_id, execution_id, deleted_too)
        if execution is None:
            return IDLE
        # The execution was read before its shards: what is completed then has all its outcomes here.
        sums = await self._shards.sums(execution.execution_id)
        now = self._clock.now()
        since = now - timedelta(seconds=RATE_SECONDS)
        sent = await self._ledger.sent_since(execution.execution_id, since)
        return measure(execution, sums, sent_lately=sent, now=now)

    async def recipients(
        self,
        org: str,
        campaign_id: str,
        execution_id: str | None,
        *,
        deleted_too: bool,
        status: Status | None,
        code: str | None,
        limit: int,
        cursor: str | None,
    ) -> Recipients:
        """A page of the ledger. Raises CampaignNotFound, ExecutionNotFound, CursorInvalid."""
        execution = await self._execution(org, campaign_id, execution_id, deleted_too)
        if execution is None or not execution.begun:
            return Recipients(execution.execution_id if execution else None, [], None, {})
        try:
            page = await self._ledger.page(
                execution.execution_id, status=status, code=code, limit=limit, cursor=cursor
            )
        except ValueError as error:
            raise CursorInvalid from error
        messages = execution.snapshot.messages
        rows = [Recipient(row, messages[row.step].id) for row in page.rows]
        counts = await self._ledger.count(execution.execution_id) if cursor is None else None
        return Recipients(execution.execution_id, rows, page.next_cursor, counts)

    async def _execution(
        self, org: str, campaign_id: str, execution_id: str | None, deleted_too: bool
    ) -> Execution | None:
        """None when the campaign has not been executed."""
        latest = await self._latest(org, campaign_id, deleted_too)
        if execution_id is None:
            return latest
        found = await self._executions.get(execution_id)
        if found is None or found.org != org or found.campaign_id != campaign_id:
            raise ExecutionNotFound
        return found

    async def _latest(self, org: str, campaign_id: str, deleted_too: bool) -> Execution | None:
        """The campaign is known here a moment after it was created: wait for a young one."""
        began = self._clock.now()
        made = created_at(campaign_id)
        young = made is not None and (began - made).total_seconds() < _YOUNG_SECONDS
        loop = asyncio.get_running_loop()
        until = loop.time() + (self._wait if young else 0)
        while True:
            known, execution = await self._executions.latest(org, campaign_id, deleted_too=deleted_too)
            if known:
                return execution
            if loop.time() >= until:
                raise CampaignNotFound
            await asyncio.sleep(_LOOK_SECONDS)
