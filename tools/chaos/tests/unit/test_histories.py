"""A history is what its seed says, and has everything that can happen to numbers."""

from collections import Counter
from datetime import UTC, datetime, timedelta

from chaos.histories import SHORT, history, in_pieces
from contracts.catalogue import decode
from contracts.events.delivery import DeliveryRecorded
from contracts.events.engagement import EngagementClicked, EngagementConverted

NOW = datetime(2026, 3, 1, 10, 40, tzinfo=UTC)
MESSAGES = history(7, SHORT, NOW)
DATA = [decode(message.body).data for message in MESSAGES if b'"data"' in message.body]


def test_a_seed_tells_the_same_history_again_and_another_seed_another_one() -> None:
    assert history(7, SHORT, NOW + timedelta(minutes=10)) == MESSAGES
    assert history(8, SHORT, NOW) != MESSAGES


def test_told_twice_it_is_of_other_campaigns() -> None:
    again = history(7, SHORT, NOW, run="again")
    assert len(again) == len(MESSAGES)
    assert {message.key for message in again}.isdisjoint(message.key for message in MESSAGES)


def test_as_much_happens_as_was_asked_for() -> None:
    windows = {
        (row.execution_id, row.shard, row.window): row for row in DATA if isinstance(row, DeliveryRecorded)
    }
    told = sum(row.count for data in windows.values() if not data.test_mode for row in data.tally)
    assert abs(told - SHORT.outcomes) < SHORT.outcomes / 10
    engagements = sum(isinstance(data, (EngagementClicked, EngagementConverted)) for data in DATA)
    assert engagements > SHORT.engagements


def test_windows_lack_numbers_take_back_come_twice_and_belong_to_tests() -> None:
    windows = [data for data in DATA if isinstance(data, DeliveryRecorded)]
    names = Counter((data.execution_id, data.shard, data.window) for data in windows)
    assert max(names.values()) > 1
    last = {key: max(name[2] for name in names if name[:2] == key) for key in {name[:2] for name in names}}
    assert sum(last.values()) > len(names)
    assert any(row.count < 0 for data in windows for row in data.tally)
    assert {data.test_mode for data in windows} == {False, True}
    assert any(row.segments and row.contact_ids for data in windows for row in data.tally)


def test_conversions_are_in_and_out_of_a_week_with_and_without_their_click() -> None:
    conversions = [data for data in DATA if isinstance(data, EngagementConverted)]
    waits = [data.converted_at - data.click.clicked_at for data in conversions if data.click]
    assert min(waits) < timedelta(days=1)
    assert max(waits) > timedelta(days=7)
    assert any(data.click is None for data in conversions)
    assert {data.currency for data in conversions} == {"EUR", "USD"}


def test_pieces_are_the_whole() -> None:
    assert [message for piece in in_pieces(MESSAGES, 7) for message in piece] == MESSAGES
    assert len(list(in_pieces(MESSAGES, 7))) == 7
