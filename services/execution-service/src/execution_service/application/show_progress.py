"""How far a campaign's execution is, and who got what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from service_kit.clock import Clock

from execution_service.application.find_execution import FindExecution
from execution_service.application.ports import Bots
from execution_service.application.ports_engine import Executions, Ledger, Shards
from execution_service.application.ports_ledger_pages import LedgerPages, LedgerRow
from execution_service.application.ports_settings import RunSettings
from execution_service.domain.errors_engine import CursorInvalid
from execution_service.domain.execution import UNDERWAY, Execution
from execution_service.domain.outcomes import STATUSES, Status
from execution_service.domain.progress import IDLE, RATE_SECONDS, Progress, bot_share, measure
from execution_service.domain.quiet_hours import Hours, hours_of


@dataclass(frozen=True, slots=True)
class Recipients:
    """A page of the ledger. `counts` (contacts by outcome) comes with the first page only."""

    execution_id: str | None
    recipients: Sequence[LedgerRow]
    next_cursor: str | None
    counts: Mapping[Status, int] | None


class ShowProgress:
    """Reads executions."""

    def __init__(
        self,
        *,
        find: FindExecution,
        executions: Executions,
        bots: Bots,
        shards: Shards,
        ledger: Ledger,
        pages: LedgerPages,
        settings: RunSettings,
        clock: Clock,
    ) -> None:
        self._find = find
        self._executions = executions
        self._bots = bots
        self._shards = shards
        self._ledger = ledger
        self._pages = pages
        self._settings = settings
        self._clock = clock

    async def progress(
        self, org: str, campaign_id: str, execution_id: str | None, *, deleted_too: bool
    ) -> Progress:
        """Of the latest execution or the one asked for. Raises CampaignNotFound, ExecutionNotFound.

        `deleted_too`: also when the campaign has been deleted.
        """
        execution = await self._find(org, campaign_id, execution_id, deleted_too=deleted_too)
        if execution is None:
            return IDLE
        # The execution was read before its shards: what is completed then has all its outcomes here.
        sums = await self._shards.sums(execution.execution_id)
        now = self._clock.now()
        since = now - timedelta(seconds=RATE_SECONDS)
        sent = await self._ledger.sent_since(execution.execution_id, since)
        waits = execution.status in UNDERWAY and not sent
        allowed = await self._allowed(execution) if waits else 0
        hours = await self._hours(execution) if execution.status in UNDERWAY else None
        return measure(execution, sums, sent_lately=sent, hours=hours, allowed=allowed, now=now)

    async def _hours(self, execution: Execution) -> Hours:
        return hours_of(
            execution.snapshot, execution.life, await self._settings.of(execution.org, execution.execution_id)
        )

    async def _allowed(self, execution: Execution) -> float:
        """Messages a second by the limits of its bots and its share of them."""
        weights = await self._executions.weights([bot.telegram_id for bot in execution.bots])
        bots = [await self._bots.get(execution.org, bot.bot_id) for bot in execution.bots]
        paid = execution.snapshot.allow_paid_broadcast
        rates = {bot.telegram_id: bot.limits.rate(paid=paid) for bot in bots if bot is not None}
        return bot_share(execution, rates, weights)

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
        execution = await self._find(org, campaign_id, execution_id, deleted_too=deleted_too)
        if execution is None or not execution.begun:
            return Recipients(execution.execution_id if execution else None, [], None, {})
        try:
            page = await self._pages.page(
                execution.execution_id, status=status, code=code, limit=limit, cursor=cursor
            )
        except ValueError as error:
            raise CursorInvalid from error
        counts = await self._counts(execution.execution_id) if cursor is None else None
        return Recipients(execution.execution_id, page.rows, page.next_cursor, counts)

    async def _counts(self, execution_id: str) -> Mapping[Status, int]:
        """What the shards say: the ledger itself has a thousand times as much to add up."""
        counts = (await self._shards.sums(execution_id)).counts
        return {status: counts.get(status, 0) for status in STATUSES}
