"""Any split into batches, with replays and duplicates, gives the plain recount."""

import itertools
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.dimensions import ALL, Kind, Line
from stats_service.domain.facts import (
    CampaignSeen,
    Definition,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    SegmentKey,
    SegmentNamed,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.fold import fold
from stats_service.domain.numbers import LOCAL_ERRORS
from stats_service.domain.states import (
    CampaignState,
    ExecutionKey,
    ExecutionState,
    Known,
    Result,
    ShardKey,
    ShardState,
    Task,
)

WEEK_MS = 7 * 24 * 60 * 60 * 1000
CAMPAIGN_OF = {"exec_1": "camp_1", "exec_2": "camp_1", "exec_3": "camp_2"}
SHARDS, WINDOWS = 2, 4

row = st.builds(
    TallyRow,
    minute=st.integers(0, 3),
    message=st.sampled_from(["msg_1", "msg_2"]),
    variation=st.sampled_from(["", "var_1"]),
    outcome=st.sampled_from(["successful", "failed", "skipped", "unknown"]),
    error=st.sampled_from(["", "USER_BLOCKED", "MESSAGE_TOO_LONG"]),
    number=st.integers(-20, 50),  # a retry takes back what earlier runs told
    segments=st.sampled_from([(), ("seg_a",), ("seg_a", "seg_b")]),
    contacts=st.sampled_from([b"", b"contact1", b"contact2contact3"]),
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


def lines_of(item: TallyRow) -> list[Line]:
    """Where a row counts."""
    segments = [Line(Kind.SEGMENT, segment) for segment in item.segments]
    return [ALL, Line(Kind.MESSAGE, item.message, item.variation), *segments]


def recount(history: Sequence[Fact]) -> tuple[Counter[tuple[str, str]], Counter[tuple[object, ...]]]:
    """(campaign, task) → count and (campaign, minute, line, metric) → count, plainly."""
    last_end = {fact.execution: fact for fact in history if isinstance(fact, ExecutionEnded)}
    tasks: Counter[tuple[str, str]] = Counter()
    cells: Counter[tuple[object, ...]] = Counter()
    for fact in history:
        if isinstance(fact, ExecutionPlanned):
            tasks[fact.campaign, "tasksTotal"] += fact.shards
        elif isinstance(fact, ExecutionEnded):
            tasks[fact.campaign, "tasksFailed"] += fact.end.failed * (fact is last_end[fact.execution])
        elif isinstance(fact, WindowRecorded):
            tasks[fact.campaign, "tasksCompleted"] += fact.shard_completed
            for item in fact.rows:
                names = ["delivered" if item.outcome == "successful" else str(item.outcome)]
                if item.outcome == "successful" or (
                    item.outcome == "failed" and item.error not in LOCAL_ERRORS
                ):
                    names.append("sent")
                for line, name in itertools.product(lines_of(item), names):
                    cells[fact.campaign, item.minute, line, name] += item.number
                if item.error:
                    error = Line(Kind.ERROR, item.outcome, item.error)
                    cells[fact.campaign, item.minute, error, "count"] += item.number
    return +tasks, nonzero(cells)


def each(contacts: bytes | bytearray) -> list[bytes]:
    return [bytes(contacts[at : at + 8]) for at in range(0, len(contacts), 8)]


def nonzero(counted: Counter[tuple[object, ...]]) -> Counter[tuple[object, ...]]:
    return Counter({key: number for key, number in counted.items() if number})


@given(deliveries())
def test_any_batches_with_replays_and_duplicates_give_the_plain_recount(
    case: tuple[list[Fact], list[list[Fact]]],
) -> None:
    history, batches = case
    shards: dict[ShardKey, ShardState] = {}
    executions: dict[ExecutionKey, ExecutionState] = {}
    tasks: Counter[tuple[str, str]] = Counter()
    cells: Counter[tuple[object, ...]] = Counter()
    reached: Counter[object] = Counter()
    counted = 0
    for batch in batches:
        changes = fold(batch, Known(shards=shards, executions=executions), window_ms=WEEK_MS)
        shards |= changes.shards
        executions |= changes.executions
        counted += changes.results[Result.COUNTED]
        assert changes.results.total() == len(batch)
        for campaign, book in changes.books.items():
            tasks.update({(campaign, task.value): number for task, number in book.tasks.items()})
            cells.update({(campaign, *cell): number for cell, number in book.cells.items()})
        for groups in changes.reached.values():
            reached.update(contact for contacts in groups.values() for contact in each(contacts))
    # An end that comes after a later one of its execution counts nowhere; all else counts once.
    ended = [fact.execution for fact in history if isinstance(fact, ExecutionEnded)]
    assert len(history) - len(ended) + len(set(ended)) <= counted <= len(history)
    assert (+tasks, nonzero(cells)) == recount(history)
    windows = [fact for fact in history if isinstance(fact, WindowRecorded)]
    assert reached == Counter(
        contact for fact in windows for row in fact.rows for contact in each(row.contacts)
    )


def test_a_completed_shard_counts_once_even_if_a_later_window_says_so_again() -> None:
    windows = [WindowRecorded("camp_1", "acme", "exec_1", 0, number, True, ()) for number in (0, 1)]
    assert fold(windows, Known(), window_ms=WEEK_MS).books["camp_1"].tasks == {Task.COMPLETED: 1}


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
    key = ExecutionKey("camp_1", "exec_1")
    known = {key: ExecutionState(planned=True)}
    total = times = 0
    for batch in [facts] if one_batch else [[fact] for fact in facts]:
        changes = fold(batch, Known(executions=known), window_ms=WEEK_MS)
        known |= changes.executions
        total += sum(book.tasks[Task.FAILED] for book in changes.books.values())
        times += changes.results[Result.COUNTED]
    assert (total, times) == (failed, counted)
    assert known[key].planned


def test_ends_of_one_execution_leave_those_of_another_alone() -> None:
    facts = [
        ExecutionEnded("camp_1", "acme", "exec_1", FAILED),
        ExecutionEnded("camp_1", "acme", "exec_2", FAILED_AGAIN),
        ExecutionEnded("camp_1", "acme", "exec_1", COMPLETED),
    ]
    assert fold(facts, Known(), window_ms=WEEK_MS).books["camp_1"].tasks[Task.FAILED] == FAILED_AGAIN.failed


def test_the_newest_state_of_a_campaign_wins_part_by_part_whatever_the_order() -> None:
    created = CampaignSeen("camp_1", "acme", "A", 1, definition=Definition(None, ("seg_a",)))
    updated = CampaignSeen("camp_1", "acme", "B", 2, definition=Definition(50, ("seg_b",)))
    started = CampaignSeen("camp_1", "acme", "B", 3, messages=(("msg_1", ("var_1",)),))
    deleted = CampaignSeen("camp_1", "acme", "", 4, deleted=True)
    for order in itertools.permutations([created, updated, started, deleted]):
        for batches in ([list(order)], [[fact] for fact in order]):
            known: dict[str, CampaignState] = {}
            for batch in batches:
                known |= fold(batch, Known(campaigns=known), window_ms=WEEK_MS).campaigns
            state = known["camp_1"]
            assert (state.name, state.sequence, state.deleted) == ("", 4, True)
            assert (state.definition, state.messages) == (updated.definition, started.messages)


def test_the_newest_name_of_a_segment_wins_and_a_deleted_one_keeps_its_last() -> None:
    facts = [
        SegmentNamed("acme", "seg_a", "", 3, deleted=True),
        SegmentNamed("acme", "seg_a", "Old", 1),
        SegmentNamed("acme", "seg_a", "New", 2),
    ]
    known: dict[SegmentKey, SegmentNamed] = {}
    for fact in [facts[2], facts[1], facts[0], facts[1]]:
        known |= fold([fact], Known(segments=known), window_ms=WEEK_MS).segments
    assert known[facts[0].key] == SegmentNamed("acme", "seg_a", "New", 3, deleted=True)


def test_what_another_organisation_tells_of_a_campaign_counts_nowhere() -> None:
    created = CampaignSeen("camp_1", "acme", "A", 1)
    planned, foreign = (ExecutionPlanned("camp_1", org, f"exec_{org}", 3) for org in ("acme", "evil"))
    stolen = CampaignSeen("camp_1", "evil", "Mine", 9)
    changes = fold([created, foreign, planned, stolen], Known(), window_ms=WEEK_MS)
    assert (changes.foreign, changes.results) == ([1, 3], {Result.COUNTED: 2})
    assert changes.books["camp_1"].tasks == {Task.TOTAL: 3}
    assert changes.campaigns["camp_1"].name == "A"
    known = Known(campaigns=changes.campaigns)
    assert fold([foreign], known, window_ms=WEEK_MS).books == {}
