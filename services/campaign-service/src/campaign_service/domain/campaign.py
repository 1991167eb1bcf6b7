"""The campaign: a definition, where it stands in its life, and the numbers others report of it.

Mental model: a Campaign is a value. Each step of its life answers the next value, one version
higher; who stores it does so only if the stored version is still the one it started from. The
version is the ETag and the `sequence` of the campaign's events. Numbers (`total_count`,
`statistics`) come from other services and are no part of that: they change no version.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from contracts.events.campaign import CampaignStatus

from campaign_service.domain.definition import Definition
from campaign_service.domain.errors import ExecutionRunning, InvalidTransition
from campaign_service.domain.lifecycle import FINAL, Action, next_status


@dataclass(frozen=True, slots=True)
class Execution:
    """The campaign's latest run."""

    id: str
    test_mode: bool
    running: bool


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the latest execution stopped as a whole."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers a campaign shows of itself; tasks are shards, cost is in the org's currency."""

    total_tasks: int = 0
    completed_tasks: int = 0
    failed_tasks: int = 0
    messages_sent: int = 0
    conversions_achieved: int = 0
    total_cost: float = 0


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign. `sampling_seed` decides who is in a sample; a copy keeps its original's."""

    id: str
    org: str
    version: int
    status: CampaignStatus
    definition: Definition
    sampling_seed: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    execution: Execution | None = None
    failure: Failure | None = None
    total_count: int = 0
    statistics: Statistics = Statistics()

    def ensure_startable(self, *, test_mode: bool) -> None:
        """Raises ExecutionRunning or InvalidTransition when no execution may start now."""
        if self.execution is not None and self.execution.running:
            raise ExecutionRunning
        if test_mode and self.status in FINAL:
            raise InvalidTransition(self.status, "active")
        self._after("execute", test_mode=test_mode)

    def start(self, execution_id: str, *, test_mode: bool, now: datetime) -> "Campaign":
        """The campaign with that execution running; a test leaves the status as it was.

        Raises ExecutionRunning or InvalidTransition.
        """
        self.ensure_startable(test_mode=test_mode)
        return self._step(
            self._after("execute", test_mode=test_mode), Execution(execution_id, test_mode, True), None, now
        )

    def runs(self, execution_id: str) -> bool:
        """Whether that execution is this campaign's, and has not ended."""
        return self.execution is not None and self.execution.running and self.execution.id == execution_id

    def complete(self, *, now: datetime) -> "Campaign":
        """The campaign after its execution has attempted everybody. Raises InvalidTransition."""
        return self._end("complete", None, now)

    def fail(self, failure: Failure, *, now: datetime) -> "Campaign":
        """The campaign after its execution stopped as a whole. Raises InvalidTransition."""
        return self._end("fail", failure, now)

    def _end(self, action: Action, failure: Failure | None, now: datetime) -> "Campaign":
        if self.execution is None:
            raise InvalidTransition(self.status, self.status)
        ended = replace(self.execution, running=False)
        return self._step(self._after(action, test_mode=ended.test_mode), ended, failure, now)

    def _after(self, action: Action, *, test_mode: bool) -> CampaignStatus:
        return self.status if test_mode else next_status(self.status, action)

    def _step(
        self, status: CampaignStatus, execution: Execution, failure: Failure | None, now: datetime
    ) -> "Campaign":
        return replace(
            self,
            version=self.version + 1,
            status=status,
            execution=execution,
            failure=failure,
            updated_at=now,
        )
