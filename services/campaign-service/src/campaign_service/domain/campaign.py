"""The campaign: a definition, where it stands in its life, and the numbers others report of it.

Mental model: a Campaign is a value. Each step of its life answers the next value, one version
higher; who stores it does so only if the stored version is still the one it started from. The
version is the ETag and the `sequence` of the campaign's events, so each step has exactly one event.
Numbers (`total_count`, `statistics`) come from other services and are no part of that: they change
no version.
"""

from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from contracts.events.campaign import CampaignStatus
from service_kit.errors import Detail, FieldErrors

from campaign_service.domain.definition import Definition
from campaign_service.domain.errors import ExecutionRunning, InvalidTransition, NotEditable
from campaign_service.domain.execution import UNFINISHED, Execution, Failure, Options, Outcome, Retry, TestRun
from campaign_service.domain.lifecycle import DELETABLE, FINAL, next_status

EDITABLE_IN_FLIGHT = frozenset({"name", "description", "goals", "budget", "end_date"})
"""What may be changed while a campaign is active or paused; after a failure it is everything."""


@dataclass(frozen=True, slots=True)
class Statistics:
    """The numbers a campaign shows of itself; tasks are shards, cost is in the org's currency."""

    total_tasks: int = 0
    completed_tasks: int = 0
    failed_tasks: int = 0
    messages_sent: int = 0
    conversions_achieved: int = 0
    total_cost: float = 0

    def plus(self, other: "Statistics") -> "Statistics":
        """Both together."""
        return Statistics(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)})


@dataclass(frozen=True, slots=True)
class Campaign:
    """One campaign. `sampling_seed` decides who is in a sample; a copy keeps its original's.

    `statistics` are its own numbers; `baseline` those of the original, frozen when it was cloned with them.
    """

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
    test: TestRun | None = None
    failure: Failure | None = None
    pause_reason: Failure | None = None
    total_count: int = 0
    statistics: Statistics = Statistics()
    baseline: Statistics | None = None

    # --- questions

    @property
    def due_at(self) -> datetime | None:
        """When its scheduled execution is to begin; None when none waits, or it is held."""
        waits = self.status == "active" and self.execution is not None and self.execution.state == "scheduled"
        return self.execution.scheduled_at if waits and self.execution is not None else None

    @property
    def scheduled_at(self) -> datetime | None:
        """What the waiting execution, held or not, is scheduled for."""
        return self.execution.scheduled_at if self.execution is not None else None

    @property
    def shown_statistics(self) -> Statistics:
        """Its own numbers on top of the baseline."""
        return self.statistics if self.baseline is None else self.baseline.plus(self.statistics)

    def runs(self, execution_id: str) -> bool:
        """Whether that execution is this campaign's, was begun, and has not ended."""
        execution = self.execution
        return execution is not None and execution.state == "running" and execution.id == execution_id

    def tests(self, execution_id: str) -> bool:
        """Whether that execution is this campaign's running test."""
        return self.test is not None and self.test.running and self.test.id == execution_id

    def may_be_held(self, execution_id: str, *, followed: int) -> bool:
        """Whether that execution, held by itself in the campaign's version `followed`, is so still: it runs,
        and no later version has paused or resumed it."""
        execution = self.execution
        if self.status != "active" or execution is None or not self.runs(execution_id):
            return False
        return execution.resumed_in <= followed

    def ensure_startable(self, *, test_mode: bool) -> None:
        """Raises ExecutionRunning or InvalidTransition when no execution may start now."""
        waiting = self.execution is not None and self.execution.state in UNFINISHED
        testing = self.test is not None and self.test.running
        if waiting or testing:
            raise ExecutionRunning
        if test_mode and self.status in FINAL:
            raise InvalidTransition(self.status, "active")
        if not test_mode:
            next_status(self.status, "execute")

    def ensure_retryable(self) -> Execution:
        """The run that a retry would follow. Raises InvalidTransition unless the campaign is completed."""
        next_status(self.status, "retry")
        return self._run

    def ensure_deletable(self) -> None:
        """Raises InvalidTransition unless it is a draft or cancelled."""
        if self.status not in DELETABLE:
            raise InvalidTransition(self.status, "deleted")

    # --- steps

    def edit(self, definition: Definition, *, now: datetime) -> "Campaign":
        """The campaign with `definition`. Raises NotEditable, naming what may not change now."""
        forbidden = [name for name in self.changed(definition) if not self._may_change(name)]
        if forbidden:
            raise NotEditable(self.status, forbidden)
        waits_for, end = self.scheduled_at, definition.end_date
        if waits_for is not None and end is not None and end <= waits_for:
            rule = "must be after the scheduled start"
            raise FieldErrors(f"endDate: {rule}", details=[Detail("endDate", rule)])
        return self._step(now, definition=definition)

    def changed(self, definition: Definition) -> list[str]:
        """The names of the fields in which `definition` differs."""
        names = (field.name for field in fields(Definition))
        return [name for name in names if getattr(definition, name) != getattr(self.definition, name)]

    def schedule(self, execution_id: str, at: datetime, options: Options, *, now: datetime) -> "Campaign":
        """The campaign with an execution that waits for `at`. Raises ExecutionRunning, InvalidTransition."""
        self.ensure_startable(test_mode=False)
        waiting = Execution(execution_id, "scheduled", options, scheduled_at=at)
        return self._step(now, status=next_status(self.status, "execute"), execution=waiting, failure=None)

    def start(self, execution_id: str, options: Options, *, steps: int, now: datetime) -> "Campaign":
        """The campaign with that execution running. Raises ExecutionRunning, InvalidTransition."""
        self.ensure_startable(test_mode=False)
        running = Execution(execution_id, "running", options, steps=steps)
        return self._step(now, status=next_status(self.status, "execute"), execution=running, failure=None)

    def start_test(self, execution_id: str, *, now: datetime) -> "Campaign":
        """The campaign with a test running. Raises ExecutionRunning, InvalidTransition (it is final)."""
        self.ensure_startable(test_mode=True)
        return self._step(now, test=TestRun(execution_id, running=True))

    def begin(self, *, steps: int, now: datetime) -> "Campaign":
        """The active campaign whose execution, scheduled or failed before it began, now begins."""
        return self._step(
            now, execution=replace(self._run, state="running", scheduled_at=None, steps=steps), failure=None
        )

    def retry(self, execution_id: str, retry: Retry, *, steps: int, now: datetime) -> "Campaign":
        """The completed campaign, active with an execution for `retry`. Raises InvalidTransition."""
        former = self.ensure_retryable()
        running = Execution(execution_id, "running", former.options, steps=steps, retry=retry)
        return self._step(now, status=next_status(self.status, "retry"), execution=running, failure=None)

    def pause(self, *, now: datetime, reason: Failure | None = None) -> "Campaign":
        """Held; `reason` says why when nobody asked for it. Raises InvalidTransition."""
        return self._step(now, status=next_status(self.status, "pause"), pause_reason=reason)

    def resume(self, *, now: datetime) -> "Campaign":
        """Active again: a waiting execution is re-armed (at once when its time has passed meanwhile), a
        failed one that had begun goes on. Raises InvalidTransition."""
        status, run = next_status(self.status, "resume"), self._run
        if run.state == "scheduled" and run.scheduled_at is not None:
            run = replace(run, scheduled_at=max(run.scheduled_at, now))
        elif run.state == "failed" and run.begun:
            run = replace(run, state="running")
        run = replace(run, resumed_in=self.version + 1)
        return self._step(now, status=status, execution=run, failure=None, pause_reason=None)

    def cancel(self, *, now: datetime) -> "Campaign":
        """Over, with whatever runs. Raises InvalidTransition."""
        status, run, test = next_status(self.status, "cancel"), self.execution, self.test
        return self._step(
            now,
            status=status,
            execution=None if run is None else replace(run, state="cancelled", scheduled_at=None),
            test=None if test is None else replace(test, running=False),
            pause_reason=None,
        )

    def complete(self, outcome: Outcome, *, now: datetime) -> "Campaign":
        """After the execution has attempted everybody. Raises InvalidTransition (see `hold_outcome`)."""
        return self._step(
            now,
            status=next_status(self.status, "complete"),
            execution=replace(self._run, state="completed", outcome=outcome),
        )

    def hold_outcome(self, outcome: Outcome) -> "Campaign":
        """The paused campaign whose last messages were under way when it was paused: resume completes it.

        The one step without an event: clients see no change, but whoever read before must read again.
        """
        held = replace(self._run, state="completed", outcome=outcome)
        return replace(self, version=self.version + 1, execution=held)

    def fail(self, failure: Failure, *, now: datetime) -> "Campaign":
        """After the execution stopped as a whole, or could not begin. Raises InvalidTransition."""
        return self._step(
            now,
            status=next_status(self.status, "fail"),
            execution=replace(self._run, state="failed", scheduled_at=None),
            failure=failure,
            pause_reason=None,
        )

    def end_test(self, *, now: datetime) -> "Campaign":
        """After its test has ended, well or not."""
        return self._step(now, test=None if self.test is None else replace(self.test, running=False))

    def delete(self, *, now: datetime) -> "Campaign":
        """The last version, for the event that tells of the end. Raises InvalidTransition."""
        self.ensure_deletable()
        return self._step(now)

    # --- inside

    @property
    def _run(self) -> Execution:
        if self.execution is None:
            raise InvalidTransition(self.status, self.status)
        return self.execution

    def _may_change(self, name: str) -> bool:
        failed = self.execution is not None and self.execution.state == "failed"
        if self.status == "draft" or (self.status == "paused" and failed):
            return True
        return self.status not in FINAL and name in EDITABLE_IN_FLIGHT

    def _step(self, now: datetime, **changes: Any) -> "Campaign":
        return replace(self, version=self.version + 1, updated_at=now, **changes)
