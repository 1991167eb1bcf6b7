"""The runs of a campaign, as far as campaign-service follows them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from contracts.events.campaign import Priority, RetriedStatus

ExecutionState = Literal["scheduled", "running", "completed", "failed", "cancelled"]
UNFINISHED: frozenset[ExecutionState] = frozenset({"scheduled", "running"})


@dataclass(frozen=True, slots=True)
class Options:
    """How an execution was asked for. `target_percentage` 1-100."""

    target_percentage: float = 100
    priority: Priority = "normal"


@dataclass(frozen=True, slots=True)
class Retry:
    """The run is for those of earlier ones whose outcome is one of `statuses` for one of `error_codes` (None:
    any); `of` is the latest run before it."""

    of: str
    statuses: tuple[RetriedStatus, ...]
    error_codes: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an execution ended, in contacts."""

    targeted: int
    successful: int
    failed: int
    skipped: int
    unknown: int
    completed_at: datetime


@dataclass(frozen=True, slots=True)
class Execution:
    """The campaign's latest run.

    `scheduled_at` is there while it waits (held when the campaign is paused). `steps` is the number of
    messages it began with; 0: it never began. `outcome` is there when it completed during a pause.
    `resumed_in` is the campaign's version that last resumed it; 0: none did.
    """

    id: str
    state: ExecutionState
    options: Options = Options()
    scheduled_at: datetime | None = None
    steps: int = 0
    outcome: Outcome | None = None
    retry: Retry | None = None
    resumed_in: int = 0

    @property
    def begun(self) -> bool:
        """Whether execution-service was ever told to send."""
        return self.steps > 0


@dataclass(frozen=True, slots=True)
class TestRun:
    """The latest run to testers. It is no part of the campaign's life: the status knows nothing of it."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    id: str
    running: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the latest execution stopped as a whole, or was held though nobody asked for it."""

    code: str
    message: str
