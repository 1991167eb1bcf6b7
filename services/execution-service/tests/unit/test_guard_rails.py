"""Guard rails trip exactly when the latest answers say so."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from contracts.events.execution import ExecutionPaused
from execution_service.application.guard_execution import GuardExecution
from execution_service.application.ports import Collision
from execution_service.domain import steering
from execution_service.domain.execution import Execution, Plan
from execution_service.domain.guard_rails import BLOCKED, CONTENT, looks_bad, needed, tripped
from execution_service.domain.org_settings import GuardRails, OrgSettings
from execution_service.domain.outcomes import Back, Candidate, Final, status_of
from hypothesis import given
from hypothesis import strategies as st
from service_kit.ports import Transactions, Tx
from service_kit.testing.fakes import (
    Died,
    DyingTransactions,
    FixedClock,
    InMemoryOutbox,
    InMemoryTransactions,
    staged,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
RAILS = GuardRails(blocked_percent=10, blocked_of=500, equal_errors=20)


def answer(code: str | None, place: int = 0) -> Final:
    at = NOW + timedelta(seconds=place)
    return Final(place, status_of(code) if code else "successful", at, code, sent=True)


def answers(*runs: tuple[int, str | None]) -> list[Final]:
    """So many of each code, one after the other."""
    codes = [code for count, code in runs for _ in range(count)]
    return [answer(code, place) for place, code in enumerate(codes)]


@pytest.mark.parametrize(
    ("runs", "code"),
    [
        ([(449, None), (51, "USER_BLOCKED")], "GUARD_BLOCKED"),
        ([(450, None), (50, "USER_BLOCKED")], None),
        ([(448, None), (51, "USER_BLOCKED")], None),
        ([(51, "USER_BLOCKED"), (500, None)], None),
        ([(30, "USER_BLOCKED"), (449, None), (21, "BOT_KICKED")], "GUARD_BLOCKED"),
        ([(500, "USER_DEACTIVATED")], None),
        ([(20, "BAD_REQUEST")], "GUARD_CONTENT"),
        ([(19, "BAD_REQUEST")], None),
        ([(5, None), (20, "MESSAGE_TOO_LONG")], "GUARD_CONTENT"),
        ([(20, "MESSAGE_TOO_LONG"), (1, None)], None),
        ([(10, "MESSAGE_TOO_LONG"), (10, "BAD_REQUEST")], None),
        ([(19, "BAD_REQUEST"), (1, "USER_BLOCKED"), (19, "BAD_REQUEST")], None),
        ([], None),
    ],
)
def test_a_rail_trips_at_its_threshold_and_not_before(
    runs: list[tuple[int, str | None]], code: str | None
) -> None:
    found = tripped(answers(*runs), RAILS)
    assert (found and found.code) == code


def test_the_reason_has_its_numbers() -> None:
    blocked = tripped(answers((400, None), (100, "USER_BLOCKED")), RAILS)
    assert blocked and blocked.message == "100 of the last 500 answers say that the bot is blocked"
    content = tripped(answers((20, "MESSAGE_EMPTY")), RAILS)
    assert content
    assert content.message == "The last 20 answers were all MESSAGE_EMPTY: Message is empty"


def naive(history: list[Final], rails: GuardRails) -> str | None:
    """The rules, counted one by one from the newest answer back."""
    row = 0
    for item in reversed(history):
        if item.code != history[-1].code or item.code not in CONTENT:
            break
        row += 1
    if row >= rails.equal_errors:
        return "GUARD_CONTENT"
    if len(history) < rails.blocked_of:
        return None
    blocked = 0
    for place in range(len(history) - rails.blocked_of, len(history)):
        blocked += history[place].code in BLOCKED
    return "GUARD_BLOCKED" if blocked / rails.blocked_of > rails.blocked_percent / 100 else None


@given(
    codes=st.lists(st.sampled_from([None, None, "USER_BLOCKED", "BOT_KICKED", "BAD_REQUEST", "MESSAGE_EMPTY",
                                    "CHAT_NOT_FOUND"]), max_size=60),
    percent=st.sampled_from([0, 10, 25, 50, 100]),
    blocked_of=st.integers(1, 40),
    equal_errors=st.integers(1, 8),
)  # fmt: skip
def test_the_decision_is_that_of_a_naive_count_and_needs_no_more_than_the_latest(
    codes: list[str | None], percent: float, blocked_of: int, equal_errors: int
) -> None:
    rails = GuardRails(percent, blocked_of, equal_errors)
    history = [answer(code, place) for place, code in enumerate(codes)]
    found = tripped(history, rails)
    assert (found and found.code) == naive(history, rails)
    assert tripped(history[-needed(rails) :], rails) == found
    assert found is None or looks_bad(history)


def test_only_windows_with_such_errors_are_looked_into() -> None:
    assert not looks_bad([answer(None), answer("CHAT_NOT_FOUND"), Back(Candidate(1), NOW)])
    assert looks_bad([answer(None), answer("USER_BLOCKED")])
    assert looks_bad([answer("MESSAGE_TOO_LONG")])


class World:
    """An execution in memory, its answers, and what happens while somebody decides."""

    def __init__(self, *, test_mode: bool = False, undone: bool = True) -> None:
        self.clock, self.outbox = FixedClock(NOW), InMemoryOutbox()
        snapshot = ExecutionSnapshot(
            messages=[FrozenMessage(id="m", content="Hi")],
            audience=AudienceDefinition(segments=["s"]),
            options=ExecutionOptions(test_mode=test_mode),
            sampling_seed="camp_1",
        )
        self.execution = Execution(
            "exec_1", "acme", "camp_1", "running", snapshot, NOW, plan=Plan("k", 1, 900, done=True),
            started_at=NOW, sequence=3,
        )  # fmt: skip
        self.undone = undone
        self.since: list[datetime] = []
        self.answers_are = answers((20, "BAD_REQUEST"))
        self.meanwhile: Execution | None = None
        self.collide = 0
        self.guard = self.worker(InMemoryTransactions())

    def worker(self, transactions: Transactions) -> GuardExecution:
        """The guard as one worker has it."""
        return GuardExecution(
            settings=self, executions=self, shards=self, ledger=self,  # type: ignore[arg-type]
            transactions=transactions, outbox=self.outbox, clock=self.clock,
        )  # fmt: skip

    async def of(self, org: str, execution_id: str) -> OrgSettings:
        return OrgSettings(org, guard_rails=RAILS)

    async def get(self, execution_id: str) -> Execution:
        return self.execution

    async def load(self, tx: Tx, execution_id: str) -> Execution:
        return self.execution

    async def steer(self, tx: Tx, before: Execution, after: Execution, *, now: datetime) -> None:
        if self.collide:
            self.collide -= 1
            raise Collision
        staged(tx, lambda: setattr(self, "execution", after))

    async def any_undone(self, execution_id: str) -> bool:
        return self.undone

    async def answers(self, execution_id: str, *, since: datetime, **_: Any) -> list[Final]:
        self.since.append(since)
        self.execution = self.meanwhile or self.execution
        return self.answers_are

    async def decide(self) -> bool:
        return await self.guard(self.execution, [answer("BAD_REQUEST")])


async def test_an_execution_is_held_once_with_one_event_that_says_why_and_what_it_had_followed() -> None:
    world = World()
    world.collide = 2
    assert await world.decide()
    assert not await world.decide()
    assert world.execution.status == "paused"
    [event] = world.outbox.events
    assert isinstance(event.data, ExecutionPaused)
    assert (event.data.reason.code, event.data.followed, event.subject) == ("GUARD_CONTENT", 3, "camp_1")


@pytest.mark.parametrize("after", [False, True], ids=["before its commit", "after it"])
async def test_a_worker_that_dies_as_it_holds_leaves_one_pause_with_one_event(after: bool) -> None:
    world = World()
    dying = world.worker(DyingTransactions(InMemoryTransactions(), lives=0, after=after))
    with pytest.raises(Died):
        await dying(world.execution, [answer("BAD_REQUEST")])
    assert (world.execution.status == "paused") is after
    assert await world.decide() is not after
    assert world.execution.status == "paused" and len(world.outbox.events) == 1


async def test_what_was_resumed_while_somebody_decided_goes_on() -> None:
    world = World()
    world.meanwhile = steering.resume(steering.pause(world.execution), now=NOW + timedelta(seconds=1))
    assert not await world.decide()
    assert world.execution.status == "running" and world.outbox.events == []


async def test_answers_count_from_the_start_or_the_latest_resume_on() -> None:
    world = World()
    world.answers_are = []
    await world.decide()
    later = NOW + timedelta(hours=1)
    world.execution = steering.resume(steering.pause(world.execution), now=later)
    await world.decide()
    assert world.since == [NOW, later]


@pytest.mark.parametrize("world", [World(test_mode=True), World(undone=False)], ids=["a test", "all done"])
async def test_neither_a_test_nor_what_is_done_anyway_is_held(world: World) -> None:
    assert not await world.decide()
    assert world.execution.status == "running" and world.outbox.events == []
