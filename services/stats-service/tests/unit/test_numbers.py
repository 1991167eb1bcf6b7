"""What the numbers mean."""

import pytest
from stats_service.domain.dimensions import ALL, Cell, Kind, Line, Metric
from stats_service.domain.facts import Outcome, TallyRow, WindowRecorded
from stats_service.domain.fold import fold
from stats_service.domain.states import Known

WEEK_MS = 7 * 24 * 60 * 60 * 1000
MESSAGE = Line(Kind.MESSAGE, "msg_1", "var_1")


def cells(*rows: TallyRow) -> dict[Cell, int]:
    """What the rows count."""
    fact = WindowRecorded("camp_1", "acme", "exec_1", 0, 0, shard_completed=False, rows=rows)
    return fold([fact], Known(), window_ms=WEEK_MS).books["camp_1"].cells


@pytest.mark.parametrize(
    ("outcome", "error", "metrics"),
    [
        ("successful", "", {"sent", "delivered"}),
        ("failed", "USER_BLOCKED", {"sent", "failed"}),
        ("failed", "TELEGRAM_ERROR", {"sent", "failed"}),
        ("failed", "MESSAGE_TOO_LONG", {"failed"}),
        ("failed", "NETWORK", {"failed"}),
        ("skipped", "MISSING_FIELD", {"skipped"}),
        ("unknown", "DELIVERY_UNKNOWN", {"unknown"}),
    ],
)
def test_sent_is_what_telegram_answered_definitely(outcome: Outcome, error: str, metrics: set[str]) -> None:
    counted = cells(TallyRow(0, "msg_1", "", outcome, error, 1))
    assert {cell.metric for cell in counted if cell.line == ALL} == metrics
    assert set(counted.values()) == {1}


def test_a_row_counts_for_the_campaign_its_message_each_of_its_segments_and_its_error() -> None:
    row = TallyRow(7, "msg_1", "var_1", "failed", "USER_BLOCKED", 3, segments=("seg_a", "seg_b"))
    lines = [ALL, MESSAGE, Line(Kind.SEGMENT, "seg_a"), Line(Kind.SEGMENT, "seg_b")]
    expected = {Cell(7, line, metric): 3 for line in lines for metric in (Metric.SENT, Metric.FAILED)}
    error = Cell(7, Line(Kind.ERROR, "failed", "USER_BLOCKED"), Metric.COUNT)
    assert cells(row) == expected | {error: 3}


def test_rows_that_take_back_what_others_told_leave_nothing() -> None:
    row = TallyRow(7, "msg_1", "var_1", "unknown", "DELIVERY_UNKNOWN", 3, segments=("seg_a",))
    assert cells(row, row._replace(number=-3)) == {}
