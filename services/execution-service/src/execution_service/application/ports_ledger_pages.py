"""What reading the ledger needs of the world: pages for people, shards for retries."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from execution_service.domain.outcomes import Final, Status
from execution_service.domain.retrying import Place


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One line of the ledger: what became of one contact in one step.

    `message` is the campaign's message, `message_id` Telegram's number.
    """

    contact_id: str
    step: int
    message: str
    status: Status
    error_code: str | None
    variation_id: str | None
    message_id: int | None
    at: datetime


@dataclass(frozen=True, slots=True)
class LedgerPage:
    """Rows, and where the next page begins (None: there is none)."""

    rows: Sequence[LedgerRow]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Standpoint:
    """How far a contact of a shard has come: its latest outcome, and the step and message of that.

    `place` is the contact's in the chain of runs.
    """

    contact_id: str
    place: Place
    step: int
    message_id: str
    final: Final


class LedgerPages(Protocol):
    """The ledger, read at size: what a call costs does not grow with the execution."""

    async def page(
        self, execution_id: str, *, status: Status | None, code: str | None, limit: int, cursor: str | None
    ) -> LedgerPage:
        """Rows by shard, in the order of sending. Raises ValueError on a cursor that is not ours."""
        ...

    async def shard(self, execution_id: str, number: int) -> Sequence[Standpoint]:
        """The shard's contacts that have an outcome, by position."""
        ...

    async def unsuccessful(self, execution_id: str, numbers: range) -> Sequence[int]:
        """Those of the shards `numbers` in which somebody's outcome is no success, ascending."""
        ...

    async def spans(self, execution_id: str) -> Sequence[tuple[int, int, int]]:
        """Of a retry's shards: number, first and last shard of the first run that it has contacts of."""
        ...
