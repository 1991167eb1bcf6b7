"""Any split into batches, with replays and duplicates, gives the plain recount."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.facts import (
    CampaignSeen,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.fold import ExecutionState, Known, ShardKey, ShardState, fold
from stats_service.domain.numbers import LOCAL_ERRORS

CAMPAIGN_OF = {"exec_1": "camp_1", "exec_2": "camp_1", "exec_3": "camp_2"}
SHARDS, WINDOWS = 2, 4

row = st.builds(
    TallyRow,
    minute=st.integers(0, 3),
    message=st.sampled_from(["msg_1", "msg_2"]),
    variation=st.sampled_from([None, "var_1"]),
    outcome=st.sampled_from(["successful", "failed", "skipped", "unknown"]),
    error=st.sampled_from([None, "USER_BLOCKED", "MESSAGE_TOO_LONG"]),
    count=st.integers(-20, 50),  # a retry takes back what earlier runs told
)


@st.composite
def histories(draw: st.DrawFn) -> list[Fact]:
    """Everything that happened, each fact once, in the order in which it was published."""
    facts: list[Fact] = []
    for execution, campaign in CAMPAIGN_OF.items():
        facts.append(ExecutionPlanned(campaign, "acme", execution, SHARDS))
        for shard in range(SHARDS):
            for window in range(draw(st.integers(0, WINDOWS))):
                rows = tuple(draw(st.lists(row, max_size=3)))
                completed = window == WINDOWS - 1
                facts.append(WindowRecorded(campaign, "acme", execution, shard, window, completed, rows))
        for end in draw(ends()):
            facts.append(ExecutionEnded(campaign, "acme", execution, end))
    return facts


@st.composite
def ends(draw: st.DrawFn) -> list[End]:
    """An execution fails any number of times, is mended each time, and completes, or does not."""
    failures = [End(False, at, draw(st.integers(0, SHARDS))) for at in range(draw(st.integers(0, 3)))]
    return [*failures, *([End(True, len(failures), 0)] if draw(st.booleans()) else [])]


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[Fact], list[list[Fact]]]:
    """A history, and batches in which each of its facts is at least once, in any order."""
    history = draw(histories())
    again = draw(st.lists(st.sampled_from(history), max_size=15)) if history else []
    stream = draw(st.permutations(history + again))
    cuts = sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    edges = [0, *cuts, len(stream)]
    return history, [stream[left:right] for left, right in itertools.pairwise(edges)]


def recount(history: Sequence[Fact]) -> tuple[Counter[tuple[str, str]], Counter[tuple[object, ...]]]:
    """(campaign, number) → count and (campaign, minute, message, variation, number) → count, plainly."""
    last_end = {fact.execution: fact for fact in history if isinstance(fact, ExecutionEnded)}
    totals: Counter[tuple[str, str]] = Counter()
    minutes: Counter[tuple[object, ...]] = Counter()
    for fact in history:
        if isinstance(fact, ExecutionPlanned):
            totals[fact.campaign, "total"] += fact.shards
        elif isinstance(fact, ExecutionEnded):
            totals[fact.campaign, "tasks_failed"] += fact.end.failed * (fact is last_end[fact.execution])
        elif isinstance(fact, WindowRecorded):
            totals[fact.campaign, "completed"] += fact.shard_completed
            for item in fact.rows:
                names = ["delivered" if item.outcome == "successful" else str(item.outcome)]
                if item.outcome == "successful" or (
                    item.outcome == "failed" and item.error not in LOCAL_ERRORS
                ):
                    names.append("sent")
                for name in names:
                    totals[fact.campaign, name] += item.count
                    minutes[fact.campaign, item.minute, item.message, item.variation, name] += item.count
    return +totals, +minutes


@given(deliveries())
def test_any_batches_with_replays_and_duplicates_give_the_plain_recount(
    case: tuple[list[Fact], list[list[Fact]]],
) -> None:
    history, batches = case
    shards: dict[ShardKey, ShardState] = {}
    executions: dict[str, ExecutionState] = {}
    totals: Counter[tuple[str, str]] = Counter()
    minutes: Counter[tuple[object, ...]] = Counter()
    counted = 0
    for batch in batches:
        changes = fold(batch, Known(shards, executions))
        shards |= changes.shards
        executions |= changes.executions
        counted += changes.counted
        assert changes.counted + changes.duplicates == len(batch)
        for campaign, numbers in changes.numbers.items():
            tasks = asdict(numbers.tasks)
            tasks["tasks_failed"] = tasks.pop("failed")
            for name, value in (asdict(numbers.counts) | tasks).items():
                totals[campaign, name] += value
        for key, counts in changes.minutes.items():
            for name, value in asdict(counts).items():
                minutes[(*key, name)] += value
    # An end that comes after a later one of its execution counts nowhere; all else counts once.
    ended = [fact.execution for fact in history if isinstance(fact, ExecutionEnded)]
    assert len(history) - len(ended) + len(set(ended)) <= counted <= len(history)
    assert (+totals, +minutes) == recount(history)


def test_a_completed_shard_counts_once_even_if_a_later_window_says_so_again() -> None:
    windows = [WindowRecorded("camp_1", "acme", "exec_1", 0, number, True, ()) for number in (0, 1)]
    assert fold(windows, Known()).numbers["camp_1"].tasks.completed == 1


FAILED, FAILED_AGAIN, COMPLETED = End(False, 10, 5), End(False, 20, 2), End(True, 30, 0)


@pytest.mark.parametrize(
    ("came", "failed", "counted"),
    [
        ([FAILED], 5, 1),
        ([FAILED, FAILED_AGAIN], 2, 2),
        ([FAILED_AGAIN, FAILED], 2, 1),
        ([FAILED, COMPLETED], 0, 2),
        ([FAILED, FAILED_AGAIN, COMPLETED], 0, 3),
        ([COMPLETED, FAILED_AGAIN, FAILED], 0, 1),
        ([FAILED, FAILED, FAILED_AGAIN, FAILED, FAILED_AGAIN], 2, 2),
        ([End(True, 10, 0), FAILED_AGAIN], 0, 1),  # whatever the clocks say, a completion is final
        ([FAILED_AGAIN, End(True, 10, 0)], 0, 2),
        ([End(False, 10, 4), FAILED], 5, 2),  # of one moment, in either order
        ([FAILED, End(False, 10, 4)], 5, 1),
    ],
)
@pytest.mark.parametrize("one_batch", [True, False])
def test_the_latest_end_of_an_execution_counts_alone_whatever_the_order(
    came: list[End], failed: int, counted: int, one_batch: bool
) -> None:
    facts: list[Fact] = [ExecutionEnded("camp_1", "acme", "exec_1", end) for end in came]
    known: dict[str, ExecutionState] = {"exec_1": ExecutionState(planned=True)}
    total = times = 0
    for batch in [facts] if one_batch else [[fact] for fact in facts]:
        changes = fold(batch, Known(executions=known))
        known |= changes.executions
        total += sum(numbers.tasks.failed for numbers in changes.numbers.values())
        times += changes.counted
    assert (total, times) == (failed, counted)
    assert known["exec_1"].planned


def test_ends_of_one_execution_leave_those_of_another_alone() -> None:
    facts = [
        ExecutionEnded("camp_1", "acme", "exec_1", FAILED),
        ExecutionEnded("camp_1", "acme", "exec_2", FAILED_AGAIN),
        ExecutionEnded("camp_1", "acme", "exec_1", COMPLETED),
    ]
    assert fold(facts, Known()).numbers["camp_1"].tasks.failed == FAILED_AGAIN.failed


def test_the_newest_state_of_a_campaign_wins_whatever_the_order() -> None:
    seen = [CampaignSeen("camp_1", "acme", name, sequence) for name, sequence in (("B", 2), ("A", 1))]
    assert fold(seen, Known()).campaigns["camp_1"].name == "B"
