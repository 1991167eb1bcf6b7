"""A delivery: one event for one endpoint, and every attempt at it.

Mental model: a delivery is `pending` until it has succeeded or its attempts are used up. While it is
pending, `due_at` says from when anybody may take it; taking it moves `due_at` to the end of the lease,
raises the epoch and leaves a token, so a crash makes it due again by itself, and a worker that comes back
late finds another token and changes nothing. `parked` is pending at an endpoint that is switched off.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

NO_CAMPAIGN = ""
"""The campaign of an event that is of none, such as a test."""


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    PARKED = "parked"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request: when (UTC), the answer's status, milliseconds, and what went wrong (None: nothing)."""

    at: datetime
    status_code: int | None
    duration_ms: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A delivery as it is stored and shown. `body` is what every attempt sends, byte for byte.

    `next_attempt_at` is None when no attempt is planned; `response_body` is the last answer's text.
    """

    id: str
    org: str
    endpoint_id: str
    event_id: str
    event_type: str
    campaign_id: str
    sequence: int
    body: bytes
    status: Status
    attempts: tuple[Attempt, ...]
    next_attempt_at: datetime | None
    response_body: str | None
    created_at: datetime

    @property
    def key(self) -> str:
        """The same for the same event and endpoint, so that an event seen twice is one delivery."""
        return f"{self.endpoint_id}:{self.event_id}"


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that may be taken now."""

    key: str
    endpoint_id: str
    campaign_id: str
    sequence: int

    @property
    def lane(self) -> "Lane":
        """Where it queues when its endpoint wants order."""
        return self.endpoint_id, self.campaign_id


@dataclass(frozen=True, slots=True)
class Ended:
    """A delivery that nothing happens to any more, by its id."""

    id: str
    due: Due


Lane = tuple[str, str]
"""Endpoint and campaign."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery taken by this worker until `until`. Writes about it go by `token`.

    `attempts_made` came before, since the last recovery. `lapses_at`: when it stops to hold up those behind
    it in its lane; None before its first attempt.
    """

    key: str
    org: str
    endpoint_id: str
    event_id: str
    event_type: str
    campaign_id: str
    sequence: int
    body: bytes
    epoch: int
    token: str
    until: datetime
    attempts_made: int
    lapses_at: datetime | None
    created_at: datetime

    @property
    def lane(self) -> Lane:
        """Where it queues when its endpoint wants order."""
        return self.endpoint_id, self.campaign_id


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `error` says why there is no answer; `retry_after` is the header as it came."""

    status_code: int | None
    error: str | None
    retry_after: str | None
    body: str | None
    duration_ms: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt, and what the delivery becomes by it. `lapses_at`: see Claim."""

    claim: Claim
    attempt: Attempt
    status: Status
    next_attempt_at: datetime | None
    lapses_at: datetime | None
    response_body: str | None


@dataclass(frozen=True, slots=True)
class Blocker:
    """The pending delivery for which the others of its lane wait: one that is `taken`, else the first."""

    key: str
    sequence: int
    due_at: datetime
    lapses_at: datetime | None
    taken: bool

    def before(self, other: "Blocker") -> bool:
        """Whether the lane waits for this one rather than for `other`."""
        return (not self.taken, self.sequence) < (not other.taken, other.sequence)

    def holds_up(self, due: Due) -> bool:
        """Whether `due`, of the same lane, has to wait for it."""
        return self.key != due.key and (self.taken or self.sequence < due.sequence)
