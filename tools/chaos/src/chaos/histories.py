"""What happened in some campaigns, as the bytes that their events are: a pure function of a seed and an hour.

Mental model: each campaign says what it has to say at moments, deliveries in the order of their windows,
everything else around them; then all is put in the order of the moments. Some of it comes twice, some late,
some before what it speaks of, some of it is odd. What the numbers must be is nobody's knowledge here: that
is for a recount to say.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from contracts.events.campaign import (
    AudienceDefinition,
    CampaignCreated,
    CampaignDeleted,
    CampaignStarted,
    ExecutionOptions,
    ExecutionSnapshot,
    Failure,
    FrozenMessage,
    Totals,
    Variation,
)
from contracts.events.delivery import DeliveryRecorded, DeliveryStatus, TallyRow
from contracts.events.execution import ExecutionCompleted, ExecutionFailed, ExecutionPlanned
from contracts.topics import DELIVERY_EVENTS

from chaos.engagements import Arrival, People
from chaos.teller import EPOCH, Message, Teller

SUCCESSFUL = 0.7
OTHERWISE: tuple[tuple[DeliveryStatus, str], ...] = (
    ("failed", "USER_BLOCKED"),
    ("failed", "CHAT_NOT_FOUND"),
    ("failed", "NETWORK"),
    ("skipped", "OPTED_OUT"),
    ("skipped", "MISSING_FIELD"),
    ("unknown", "DELIVERY_UNKNOWN"),
)
RETRIED = {"NETWORK", "DELIVERY_UNKNOWN"}
SEGMENTS = ["seg_young", "seg/with~signs", "seg_buyers"]
MEMBERSHIPS: tuple[list[int], ...] = ([0], [1], [0, 2], [0, 1, 2], [])
NO_TOTALS = Totals(targeted=0, successful=0, failed=0, skipped=0, unknown=0)


class Size(NamedTuple):
    """How much of everything; about."""

    campaigns: int
    outcomes: int
    window: int
    engagements: int


SHORT = Size(campaigns=3, outcomes=3_000, window=40, engagements=300)
LONG = Size(campaigns=8, outcomes=1_000_000, window=500, engagements=50_000)


def history(seed: int, size: Size, now: datetime, *, run: str = "") -> list[Message]:
    """Everything, in the order in which it is published. Nothing that counts is later than `now`.

    `run` is in the names of campaigns and executions: the same history told twice is not the same campaigns.
    """
    hour = now.replace(minute=0, second=0, microsecond=0)
    said: list[tuple[float, Message]] = []
    for number in range(size.campaigns):
        random = Random(f"{seed}/{number}")  # noqa: S311 - to be repeated
        said += _Campaign(Teller(number, random, hour, run), size).tell()
    return [message for _, message in sorted(said, key=lambda item: item[0])]


def in_pieces(messages: list[Message], number: int) -> Iterator[list[Message]]:
    """`messages` in at most `number` pieces of one size, nearly."""
    size = -(-len(messages) // number)
    for at in range(0, len(messages), size):
        yield messages[at : at + size]


class _Key(NamedTuple):
    """What a row of a tally counts."""

    minute: int
    message: str
    variation: str | None
    status: DeliveryStatus
    error: str | None
    membership: int


@dataclass
class _Campaign:
    """One campaign. The first has two steps; the second is never introduced; the last is deleted half-way."""

    teller: Teller
    size: Size
    arrivals: list[Arrival] = field(default_factory=list)
    retried: dict[_Key, list[str]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.number, self.chance = self.teller.number, self.teller.random.random
        self.steps = ["msg_1", "msg_2"] if self.number == 0 else ["msg_1"]

    def tell(self) -> list[tuple[float, Message]]:
        """(moment, message) of all that it says."""
        if self.number != 1:
            self._introduce()
        contacts = self.size.outcomes // self.size.campaigns // len(self.steps)
        self._execute("exec_1", [f"c{self.number}-{n}" for n in range(contacts)], begin=0.05, end=0.7)
        self._execute("exec_t", [f"c{self.number}-{n}" for n in range(50)], begin=0, end=0.1, test=True)
        self._retry("exec_2")
        self._end("exec_1")
        people = People(self.teller, self.arrivals)
        for _ in range(self.size.engagements // self.size.campaigns):
            people.engage()
        people.click_of_tomorrow()
        unreadable = Message(
            DELIVERY_EVENTS.name, self.teller.id, b'{"type": "delivery.recorded"', counts=False
        )
        self.teller.said.append((0.3, unreadable))
        if self.number == self.size.campaigns - 1:
            deleted = CampaignDeleted(**self._facts("completed"), deleted_at=self.teller.hour)
            self.teller.say(0.5, deleted, sequence=9)
        return self.teller.said

    def _facts(self, status: str) -> dict[str, Any]:
        return {"campaign_id": self.teller.id, "name": "A", "type": "message", "status": status}

    def _ids(self, execution: str) -> dict[str, Any]:
        return {"campaign_id": self.teller.id, "execution_id": f"{execution}_{self.teller.id}"}

    def _introduce(self) -> None:
        audience = AudienceDefinition(segments=SEGMENTS)
        created = CampaignCreated(**self._facts("draft"), audience=audience, budget=900.0)
        self.teller.say(0, created, sequence=1)
        variations = [Variation(id="var_b", content="Ho", weight=50)]
        snapshot = ExecutionSnapshot(
            messages=[FrozenMessage(id=step, content="Hi", variations=variations) for step in self.steps],
            audience=audience,
            options=ExecutionOptions(),
            sampling_seed="s",
        )
        started = CampaignStarted(
            **self._facts("active") | self._ids("exec_1"), snapshot=snapshot, started_at=self.teller.start
        )
        self.teller.say(0.01, started, sequence=2)

    def _execute(
        self, execution: str, contacts: list[str], *, begin: float, end: float, test: bool = False
    ) -> None:
        """In shards of four windows a step, as execution-service has them; some numbers are left out."""
        size = self.size.window * 4
        shards = [contacts[at : at + size] for at in range(0, len(contacts), size)]
        self._plan(execution, len(shards), begin, test=test)
        for shard, members in enumerate(shards):
            windows = [
                (step, members[at : at + self.size.window])
                for step in range(len(self.steps))
                for at in range(0, len(members), self.size.window)
            ]
            number = 0
            for done, (step, window) in enumerate(windows):
                number += 1 + (self.chance() < 0.1)
                part = done / len(windows)
                moment = begin + (end - begin) * (part + shard / len(shards) / len(windows))
                rows = self._send(window, step, part, moment, remember=not test)
                last = done == len(windows) - 1
                self._record(execution, shard, number, rows, moment, step=step, last=last, test=test)

    def _send(
        self, window: list[str], step: int, part: float, moment: float, *, remember: bool
    ) -> list[TallyRow]:
        """A window's tally: `part` of the three hours that sending takes has gone by."""
        groups: dict[_Key, list[str]] = defaultdict(list)
        begin = self.teller.start + timedelta(hours=3) * part
        engaging = 2 * self.size.engagements / self.size.outcomes
        for place, contact in enumerate(window):
            at = begin + timedelta(seconds=place // 10)
            key = self._outcome(contact, self.steps[step], at)
            groups[key].append(contact)
            if remember and key.status == "successful" and self.chance() < engaging:
                self.arrivals.append(Arrival(contact, key.message, at, moment))
            if remember and key.error in RETRIED:
                self.retried[key].append(contact)
        return [_row(key, len(group), group) for key, group in groups.items()]

    def _outcome(self, contact: str, message: str, at: datetime) -> _Key:
        status: DeliveryStatus = "successful"
        error: str | None = None
        if self.chance() > SUCCESSFUL:
            status, error = OTHERWISE[int(self.chance() * len(OTHERWISE))]
        number = int(contact.rpartition("-")[2])
        variation = "var_b" if number % 2 else None
        minute = (at - EPOCH) // timedelta(minutes=1)
        return _Key(minute, message, variation, status, error, number % len(MEMBERSHIPS))

    def _retry(self, execution: str) -> None:
        """Another run for those whose outcome may be mended: most are reached now."""
        former = list(self.retried.items())
        self._plan(execution, 1, 0.75)
        pieces = [former[at : at + 8] for at in range(0, len(former), 8)]
        for number, piece in enumerate(pieces):
            moment = 0.75 + 0.1 * number / len(pieces)
            rows = []
            for key, contacts in piece:
                reached = contacts[len(contacts) // 3 :]
                later = key._replace(minute=key.minute + 240, status="successful", error=None)
                failed = later._replace(status="failed", error="USER_BLOCKED")
                rows += [_row(key, -len(contacts), []), _row(later, len(reached), reached)]
                rows.append(_row(failed, len(contacts) - len(reached), []))
                at = EPOCH + timedelta(minutes=later.minute)
                self.arrivals += [Arrival(contact, key.message, at, moment) for contact in reached[:2]]
            self._record(execution, 0, number, rows, moment, last=number == len(pieces) - 1)

    def _plan(self, execution: str, shards: int, moment: float, *, test: bool = False) -> None:
        planned = ExecutionPlanned(
            **self._ids(execution), test_mode=test, targeted=0, shards=shards, planned_at=self.teller.start
        )
        self.teller.say(moment, planned)

    def _record(
        self, execution: str, shard: int, window: int, rows: list[TallyRow], moment: float, *, step: int = 0,
        last: bool, test: bool = False,
    ) -> None:  # fmt: skip
        recorded = DeliveryRecorded(
            **self._ids(execution), test_mode=test, shard=shard, window=window, step=step,
            shard_completed=last, segment_ids=SEGMENTS, tally=rows, recorded_at=self.teller.hour,
        )  # fmt: skip
        self.teller.say(moment, recorded, event_id=f"{recorded.execution_id}:{shard}:{window}")

    def _end(self, execution: str) -> None:
        """It fails, is mended and fails again; two of three complete."""
        ids = self._ids(execution) | {"totals": NO_TOTALS}
        for hours, failed in ((1, 3), (2, 1)):
            failure = Failure(code="BOT_UNAUTHORIZED", message="the token is not valid")
            at = self.teller.start + timedelta(hours=hours)
            self.teller.say(
                hours / 4, ExecutionFailed(**ids, failure=failure, shards_failed=failed, failed_at=at)
            )
        if self.number % 3:
            at = self.teller.start + timedelta(hours=3)
            self.teller.say(0.9, ExecutionCompleted(**ids, completed_at=at))


def _row(key: _Key, count: int, contacts: list[str]) -> TallyRow:
    return TallyRow(
        minute=key.minute,
        message_id=key.message,
        variation_id=key.variation,
        status=key.status,
        error_code=key.error,
        count=count,
        segments=MEMBERSHIPS[key.membership],
        contact_ids=contacts if key.status == "successful" else [],
    )
