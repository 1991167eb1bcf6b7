"""What execution-service says of executions. Keyed by campaign id."""

from typing import ClassVar

from pydantic import Field

from contracts.envelope import EventData, UtcTime
from contracts.events.campaign import Failure, Totals
from contracts.topics import EXECUTION_EVENTS, Topic


class ExecutionEvent(EventData):
    """What every execution event carries."""

    topic: ClassVar[Topic] = EXECUTION_EVENTS

    campaign_id: str
    execution_id: str
    test_mode: bool = False


class ExecutionPlanned(ExecutionEvent):
    """The audience has been walked: so many contacts in so many shards (the campaign's tasks)."""

    event_type = "execution.planned"

    targeted: int = Field(ge=0)
    shards: int = Field(ge=0)
    planned_at: UtcTime


class ExecutionPaused(ExecutionEvent):
    """A guard rail holds it: nobody is sent to until its campaign is resumed.

    `followed` is the campaign's version that it had followed when it was held: a resume of a later version
    sets it going again, whichever of the two is heard of first.
    """

    event_type = "execution.paused"

    reason: Failure
    followed: int = Field(ge=0)
    paused_at: UtcTime


class ExecutionCompleted(ExecutionEvent):
    """Every targeted contact has an outcome."""

    event_type = "execution.completed"

    totals: Totals
    completed_at: UtcTime


class ExecutionFailed(ExecutionEvent):
    """The execution stopped as a whole. `shards_failed` shards were left undone."""

    event_type = "execution.failed"

    failure: Failure
    totals: Totals
    shards_failed: int = Field(ge=0)
    failed_at: UtcTime
