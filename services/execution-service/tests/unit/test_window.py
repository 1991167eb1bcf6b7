"""Every contact of a shard ends in exactly one outcome, whatever happens on the way."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from execution_service.domain.outcomes import (
    Attempt,
    Back,
    Candidate,
    Delivered,
    Final,
    NoAnswer,
    NotConnected,
    NotDispatched,
    RateLimited,
    Rejected,
    ServerFailed,
    settle,
)
from execution_service.domain.window import (
    ShardState,
    candidates,
    close_window,
    next_due,
    open_window,
    shard_size,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, tzinfo=UTC)

ATTEMPTS: list[Attempt] = [
    Delivered(1),
    Rejected("USER_BLOCKED"),
    NoAnswer(),
    RateLimited(3),
    NotDispatched(),
    NotConnected(),
    ServerFailed(),
]


def test_those_due_again_come_before_untried_ones() -> None:
    state = open_window(ShardState(size=4), [Candidate(0), Candidate(1)])
    state = close_window(state, [Back(Candidate(0), NOW), Back(Candidate(1), NOW + timedelta(seconds=9))])
    assert candidates(state, limit=2, now=NOW) == [Candidate(0), Candidate(2)]
    assert candidates(state, limit=9, now=NOW) == [Candidate(0), Candidate(2), Candidate(3)]
    assert next_due(state) == NOW


def test_only_those_who_succeeded_go_on_to_the_next_message() -> None:
    state = ShardState(size=3, steps=2)
    state = open_window(state, candidates(state, limit=3, now=NOW))
    state = close_window(
        state,
        [
            Final(2, "successful", NOW),
            Final(1, "failed", NOW, "USER_BLOCKED"),
            Final(0, "successful", NOW),
        ],
    )
    assert (state.step, state.queue, state.done) == (1, (0, 2), False)
    assert state.counts == {"failed": 1}
    taken = candidates(state, limit=9, now=NOW)
    assert [item.position for item in taken] == [0, 2]
    state = close_window(
        open_window(state, taken), [Final(item.position, "successful", NOW) for item in taken]
    )
    assert state.done
    assert state.counts == {"failed": 1, "successful": 2}


def test_a_shard_whose_contacts_all_failed_needs_no_second_step() -> None:
    state = open_window(ShardState(size=1, steps=2), [Candidate(0)])
    assert close_window(state, [Final(0, "failed", NOW, "USER_BLOCKED")]).done


@given(st.data(), st.integers(1, 12), st.integers(1, 3))
def test_each_position_ends_in_exactly_one_outcome(data: st.DataObject, size: int, steps: int) -> None:
    """Windows of any length, any deferrals and answers, and crashes that leave a window to be called unknown."""
    state, now, outcomes, rounds = ShardState(size=size, steps=steps), NOW, Counter[tuple[int, int]](), 0
    while not state.done:
        rounds += 1
        turn = candidates(state, limit=data.draw(st.integers(1, 5)), now=now)
        if not turn:
            due = next_due(state)
            assert due is not None
            assert due > now
            now = due
            continue
        taken = turn[: data.draw(st.integers(1, len(turn)))]
        sent = taken if rounds > 40 else [item for item in taken if data.draw(st.booleans())]
        deferred = [Back(item, now + timedelta(seconds=1)) for item in taken if item not in sent]
        before, state = state, open_window(state, taken, deferred)
        assert state.window == before.window + 1
        results = _results(data, sent, now, tired=rounds > 40)
        for item in results:
            if isinstance(item, Final):
                outcomes[before.step, item.position] += 1
        state = close_window(state, results)
        assert sum(state.counts.values()) + _pending(state) == size
    assert set(outcomes.values()) == {1}
    assert {position for step, position in outcomes if step == 0} == set(range(size))
    assert sum(state.counts.values()) == size
    assert sum(state.errors.values()) == size - state.counts.get("successful", 0)


def _results(
    data: st.DataObject, taken: list[Candidate], now: datetime, *, tired: bool
) -> list[Final | Back]:
    if data.draw(st.integers(0, 5)) == 0:  # a crash: the next owner calls the whole window unknown
        return [Final(item.position, "unknown", now, "DELIVERY_UNKNOWN") for item in taken]
    choices = ATTEMPTS[:3] if tired else ATTEMPTS
    return [settle(item, data.draw(st.sampled_from(choices)), at=now, variation_id=None) for item in taken]


def _pending(state: ShardState) -> int:
    """Contacts without an outcome: untried, waiting, or through this step and not the last."""
    return state.length - state.next + len(state.retry) + len(state.passed)


def test_a_small_execution_has_several_shards_and_a_large_one_few() -> None:
    sizes = [shard_size(number, most=2_000) for number in range(100)]
    assert sizes[:9] == [125] * 4 + [250] * 4 + [500]
    assert set(sizes[16:]) == {2_000}
    assert {shard_size(number, most=50) for number in range(100)} == {50}
    assert shard_size(10**9, most=10_000) == 10_000
