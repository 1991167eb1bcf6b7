"""The stats bench measures what it says: its events add up, its ceiling counts them all, an old answer shows."""

from collections import Counter

import pytest
from bare_fold import add
from contracts.catalogue import decode
from contracts.envelope import encode
from contracts.events.delivery import decode_fast
from stats_events import SHARD, Windows, in_turns
from stats_log import Stuck
from stats_reads import Watched, questions
from stats_report import aims


@pytest.mark.parametrize("outcomes", [1, 20, 100, 500])
def test_windows_have_as_many_contacts_as_they_say_none_twice_and_names_of_their_own(outcomes: int) -> None:
    campaigns = [Windows(outcomes), Windows(outcomes)]
    raws = [encode(event) for event in in_turns(campaigns, 48)]
    events = [decode_fast(raw) for raw in raws]
    assert len({event.id for event in events}) == len({decode(raw).id for raw in raws}) == 48
    for mine in campaigns:
        rows = [
            row for event in events if event.data.campaign_id == mine.campaign for row in event.data.tally
        ]
        assert sum(row.count for row in rows) == 24 * outcomes
        assert sum(row.count for row in rows if row.status in ("successful", "failed")) == mine.sent
        reached = [contact for row in rows for contact in row.contact_ids]
        assert (
            len(set(reached)) == len(reached) == sum(row.count for row in rows if row.status == "successful")
        )
    last = events[-1].data
    assert (last.shard, last.window) == divmod(23, SHARD // outcomes)


def test_the_ceiling_counts_every_outcome_in_all_its_places() -> None:
    windows = Windows(100)
    events = [decode_fast(encode(windows.next(minute=7))) for _ in range(20)]
    counts: Counter[tuple[object, ...]] = Counter()
    assert sum(add(event, counts) for event in events) == 2_000
    sums = {size: sum(count for key, count in counts.items() if len(key) == size) for size in (3, 5)}
    assert sums[5] == 2_000
    sent = sum(counts[windows.campaign, 7, status] for status in ("successful", "failed"))
    assert sent == windows.sent


def test_an_answer_is_as_old_as_the_first_window_that_it_lacks() -> None:
    watched = Watched(Windows(10), marks=[(1.0, 10), (1.5, 20)], shown=[(1.25, 9), (1.75, 15), (2.5, 20)])
    assert watched.ages() == [0.75, 1.0]
    watched.marks.append((2.0, 30))
    with pytest.raises(Stuck):
        watched.ages()


def test_no_question_is_asked_twice() -> None:
    asked = list(questions())
    assert len(set(asked)) == len(asked) > 3_000


def test_a_wrong_number_and_a_slow_answer_are_aims_missed() -> None:
    folding = [{"outcomes": 500, "perSecond": 400_000, "right": True}, {"outcomes": 1, "right": False}]
    answers = [
        {"what": "the same question", "clients": 16, "p95": 25.1},
        {"what": "x", "clients": 1, "p95": 9},
    ]
    whole = {"folding": folding, "answers": answers, "memory": {"growth": 1.1}}
    assert [(what, met) for what, _, _, met in aims(whole)] == [
        ("outcomes/s at 500 an event", True),
        ("every campaign's numbers right", False),
        ("memory over that at 1,000 campaigns", True),
        ("GET, the same question, p95, ms", False),
    ]
