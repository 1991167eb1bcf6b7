"""What a window tells of its outcomes."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from contracts.envelope import Envelope, encode
from contracts.events.campaign import AudienceDefinition, ExecutionOptions, ExecutionSnapshot, FrozenMessage
from contracts.events.delivery import DeliveryRecorded, decode_fast
from execution_service.application.delivery_event import TOLD_AT_ONCE, delivery_recorded
from execution_service.application.ports_engine import ShardLease, Window
from execution_service.domain.execution import Execution
from execution_service.domain.outcomes import Candidate, Final
from execution_service.domain.retrying import Former
from execution_service.domain.window import ShardState

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SNAPSHOT = ExecutionSnapshot(
    messages=[FrozenMessage(id="msg", content="Hi")],
    audience=AudienceDefinition(),
    options=ExecutionOptions(),
    sampling_seed="s",
)
EXECUTION = Execution("exec_2", "acme", "camp_1", "running", SNAPSHOT, NOW)


def told(
    finals: Sequence[Final], former: Sequence[Former] = (), contacts: Sequence[str] = ()
) -> Envelope[DeliveryRecorded]:
    people = contacts or [f"con_{final.position}" for final in finals]
    state = ShardState(len(people))
    lease = ShardLease("exec_2:0", "exec_2", "acme", "camp_1", 0, "w", 1, people, state, 0, former=former)
    turn = [Candidate(final.position) for final in finals]
    window = Window("exec_2:0", "exec_2", 0, 0, 0, "msg", 1, turn, [], NOW)
    return delivery_recorded(EXECUTION, lease, window, finals, shard_completed=True, at=NOW)


def sent(position: int, *segments: str) -> Final:
    return Final(position, "successful", NOW, None, None, 7, True, segments)


def failed(position: int, *segments: str) -> Final:
    return Final(position, "failed", NOW, "USER_BLOCKED", None, None, True, segments)


def by_segment(event: Envelope[DeliveryRecorded]) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in event.data.tally:
        for place in row.segments:
            counts[row.status, event.data.segment_ids[place]] += row.count
    return counts


def test_rows_tell_the_segments_and_whom_the_message_reached() -> None:
    event = told([sent(0, "a", "b"), sent(1, "a"), sent(2, "a", "b"), failed(3, "b"), sent(4)])
    rows = [
        (row.status, [event.data.segment_ids[place] for place in row.segments], row.count, row.contact_ids)
        for row in event.data.tally
    ]
    assert rows == [
        ("successful", ["a", "b"], 2, ["con_0", "con_2"]),
        ("successful", ["a"], 1, ["con_1"]),
        ("failed", ["b"], 1, []),
        ("successful", [], 1, ["con_4"]),
    ]
    assert by_segment(event) == {("successful", "a"): 3, ("successful", "b"): 2, ("failed", "b"): 1}
    assert event.data.segment_ids == ["a", "b"]


def test_a_retry_takes_back_from_the_segments_that_were_told() -> None:
    former = [Former.of(failed(0, "old", "both"), "msg"), Former.of(failed(1, "both"), "msg")]
    event = told([sent(0, "both", "new"), failed(1, "both")], former)
    assert by_segment(event) == {
        ("failed", "old"): -1, ("failed", "both"): -1, ("successful", "both"): 1, ("successful", "new"): 1,
    }  # fmt: skip
    assert sum(row.count for row in event.data.tally) == 0
    assert [row.contact_ids for row in event.data.tally if row.count > 0] == [["con_0"]]


def test_the_largest_window_with_a_hundred_segments_is_far_from_a_megabyte() -> None:
    """Each contact, with an id as long as there are, is in other segments than everybody else, and before."""
    names = [f"seg_{number:028}" for number in range(100)]
    finals, former = list[Any](), list[Former]()
    for position in range(TOLD_AT_ONCE):
        left_out = {position % 100, (position + position // 100 + 1) % 100}
        mine = [name for number, name in enumerate(names) if number not in left_out]
        finals.append(sent(position, *mine))
        former.append(Former.of(failed(position, *reversed(mine)), "msg"))
    event = told(finals, former, contacts=[f"{position:0128}" for position in range(TOLD_AT_ONCE)])
    raw = encode(event)
    assert len(event.data.tally) == 2 * TOLD_AT_ONCE
    assert len(raw) < 800_000
    read = decode_fast(raw).data
    assert sum(len(row.contact_ids) for row in read.tally) == TOLD_AT_ONCE
    assert {len(row.segments) for row in read.tally} == {98}
    assert sorted(read.segment_ids) == names
