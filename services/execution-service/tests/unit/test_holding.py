"""Shards whose contacts wait for their hours: as a whole, or one by one, and everybody once."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from execution_service.domain.holding import Held, held, hold, remaining, woken
from execution_service.domain.outcomes import Back, Candidate, Final
from execution_service.domain.window import (
    ShardState,
    Waiting,
    candidates,
    close_window,
    next_due,
    open_window,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def hour(number: float) -> datetime:
    return NOW + timedelta(hours=number)


def test_a_shard_of_which_all_wait_keeps_its_queue_and_waits_for_the_first() -> None:
    state = open_window(ShardState(size=4, edition=3), [Candidate(0)])
    state = close_window(state, [Final(0, "successful", NOW)])
    opens = {1: hour(8), 2: hour(7), 3: hour(8)}
    assert remaining(state) == [1, 2, 3]
    assert hold(state, opens, now=NOW) == (state, Held(3, hour(7), 3))


def test_whoever_waits_makes_way_for_the_first_who_need_not() -> None:
    state, whole = hold(ShardState(size=4), {0: hour(8), 1: hour(7), 2: NOW, 3: hour(8)}, now=NOW)
    assert whole is None
    assert candidates(state, limit=9, now=NOW) == [Candidate(2), Candidate(3)]
    assert held(state) == Held(2, hour(7), 0)
    assert next_due(state) == hour(7)


def test_one_that_waits_for_something_else_is_waited_for_too() -> None:
    """A retry is due in a minute, and its contact's hours have come."""
    again = Waiting(Candidate(0, tries=1), NOW + timedelta(minutes=1))
    state, whole = hold(ShardState(size=2, next=1, retry=(again,)), {0: NOW, 1: hour(8)}, now=NOW)
    assert whole == Held(1, NOW + timedelta(minutes=1), 0)
    assert state.retry == (again,)


def test_what_it_had_tried_stays_with_one_who_must_wait_now() -> None:
    tried = Candidate(0, tries=2, unanswered=True)
    state = ShardState(size=1, next=1, retry=(Waiting(tried, NOW),))
    after, whole = hold(state, {0: hour(8)}, now=NOW)
    assert whole == Held(1, hour(8), 0)
    assert after.retry == (Waiting(tried, hour(8), for_hours=True),)


def test_other_rules_wake_those_who_wait_for_hours_and_nobody_else() -> None:
    waits, again = Waiting(Candidate(0), hour(8), for_hours=True), Waiting(Candidate(1), hour(1))
    state = ShardState(size=2, next=2, retry=(waits, again), edition=1)
    assert woken(state, 1, now=NOW) is state
    assert candidates(woken(state, 2, now=NOW), limit=9, now=NOW) == [Candidate(0)]
    later, _ = hold(woken(state, 2, now=NOW), {0: hour(2), 1: NOW}, now=NOW)
    assert [item.due for item in later.retry] == [hour(2), hour(1)]
    assert held(later) == Held(1, hour(2), 2)


@given(
    phases=st.lists(st.integers(0, 23), min_size=1, max_size=30),
    moved=st.lists(st.tuples(st.integers(0, 29), st.integers(0, 23)), max_size=4),
    limit=st.integers(1, 7),
    steps=st.integers(1, 3),
)
def test_everybody_gets_every_message_once_and_in_its_hours(
    phases: list[int], moved: Sequence[tuple[int, int]], limit: int, steps: int
) -> None:
    """Each contact may be sent to for eight hours a day, from its phase on; some move; rules change."""
    state, now, got = ShardState(size=len(phases), steps=steps), NOW, Counter[tuple[int, int]]()
    moves, turns = list(moved), 0

    def opens(position: int) -> datetime:
        since = (now - NOW - timedelta(hours=phases[position])) % timedelta(days=1)
        return now if since < timedelta(hours=8) else now - since + timedelta(days=1)

    while not state.done:
        turns += 1
        assert turns < 2_000
        if turns % 10 == 9 and moves:
            who, phase = moves.pop()
            phases[who % len(phases)] = phase
            state = woken(state, turns, now=now)
        turn = candidates(state, limit=limit, now=now)
        if not turn:
            now = next_due(state) or now
            continue
        deferred = [
            Back(who, opens(who.position), for_hours=True) for who in turn if opens(who.position) > now
        ]
        if len(deferred) == len(turn):
            state, whole = hold(state, {position: opens(position) for position in remaining(state)}, now=now)
            now = whole.until if whole else now
            continue
        sent = [who.position for who in turn if opens(who.position) == now]
        got.update((state.step, position) for position in sent)
        state = open_window(state, turn, deferred)
        state = close_window(state, [Final(position, "successful", now) for position in sent])
        now += timedelta(minutes=20)
    assert got == Counter((step, who) for step in range(steps) for who in range(len(phases)))
    assert held(state) is None
