"""The recount on cases that a person can count by hand: each rule of what the numbers mean."""

import dataclasses
import random
import tracemalloc
from collections import Counter
from typing import Any

import pytest
from stats_service.domain.dimensions import ALL, Kind, Line
from stats_service.domain.facts import (
    Clicked,
    ClickTold,
    Converted,
    End,
    ExecutionEnded,
    ExecutionPlanned,
    Fact,
    TallyRow,
    WindowRecorded,
)
from stats_service.domain.people import reference
from stats_service.domain.recount import BREATH, Book, Recount
from stats_service.domain.recount_people import HEAP, MOST_CLICKS, Person

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
SENT_AT = 29_000_000
"""The minute in which messages of these cases arrive."""
T = SENT_AT * MINUTE
MESSAGE, SECOND = Line(Kind.MESSAGE, "msg_1", "var_b"), Line(Kind.MESSAGE, "msg_2")
YOUNG, BUYERS = Line(Kind.SEGMENT, "young"), Line(Kind.SEGMENT, "buyers")


def row(count: int = 1, **changes: Any) -> TallyRow:
    given: dict[str, Any] = {
        "minute": SENT_AT, "message": "msg_1", "variation": "var_b", "outcome": "successful", "error": "",
        "segments": ("young",), "contacts": b"",
    } | changes  # fmt: skip
    return TallyRow(number=count, **given)


def window(*rows: TallyRow, number: int = 0, shard: int = 0, completed: bool = False, **changes: Any) -> Fact:
    given = {"campaign": "camp_1", "org": "acme", "execution": "exec_1"} | changes
    return WindowRecorded(shard=shard, window=number, shard_completed=completed, rows=rows, **given)


def reached(contact: str = "ann", **changes: Any) -> Fact:
    """`contact` got a message."""
    number = changes.pop("number", 0)
    return window(row(contacts=reference(contact), **changes), number=number)


def click(at: int, name: str = "evt_1", *, contact: str = "ann", message: str = "msg_1") -> Fact:
    return Clicked(
        campaign="camp_1",
        org="acme",
        event=reference(name),
        contact=reference(contact),
        message=message,
        at=at,
    )


def conversion(at: int, name: str = "conv_1", *, by: ClickTold | None = None, **changes: Any) -> Fact:
    given = {"value": 25_000, "currency": "EUR"} | changes
    contact = reference(given.pop("contact", "ann"))
    return Converted(
        campaign="camp_1", org="acme", contact=contact, conversion=reference(name), at=at, click=by, **given
    )


def book(*facts: Fact, campaign: str = "camp_1") -> Book:
    recount = Recount(7 * DAY)
    for fact in facts:
        recount.add(fact)
    return recount.books().get(campaign, Book())


def totals(*facts: Fact) -> dict[Line, dict[str, int]]:
    """Of clicks and conversions alone: what was delivered is left out."""
    lines: dict[Line, dict[str, int]] = {}
    for (line, metric), count in book(*facts).totals.items():
        if metric not in ("sent", "delivered"):
            lines.setdefault(line, {})[metric] = count
    return lines


def test_a_row_counts_in_the_campaign_its_message_and_each_of_its_segments() -> None:
    counted = book(window(row(5, segments=("young", "buyers"))))
    expected = {
        (line, metric): 5 for line in (ALL, MESSAGE, YOUNG, BUYERS) for metric in ("sent", "delivered")
    }
    assert counted.totals == expected
    assert counted.minutes == {(*key, SENT_AT): count for key, count in expected.items()}


@pytest.mark.parametrize(
    ("outcome", "code", "metrics"),
    [
        ("failed", "USER_BLOCKED", {"failed", "sent"}),
        ("failed", "NETWORK", {"failed"}),
        ("skipped", "OPTED_OUT", {"skipped"}),
        ("unknown", "DELIVERY_UNKNOWN", {"unknown"}),
    ],
)
def test_what_did_not_arrive_counts_by_outcome_and_by_its_error(
    outcome: str, code: str, metrics: set[str]
) -> None:
    counted = book(window(row(3, outcome=outcome, error=code, segments=())))
    assert {metric for (line, metric) in counted.totals if line == ALL} == metrics
    assert counted.totals[Line(Kind.ERROR, outcome, code), "count"] == 3


def test_a_window_counts_once_whatever_its_number_and_a_missing_number_is_nothing() -> None:
    counted = book(*(window(row(), number=number) for number in (0, 4, 0, 9, 4)))
    assert counted.totals[ALL, "delivered"] == 3


def test_a_negative_row_takes_back_and_what_is_zero_is_not_there() -> None:
    former = {"outcome": "failed", "error": "NETWORK", "minute": SENT_AT - 5}
    counted = book(window(row(2, **former)), window(row(-2, **former), row(2), execution="exec_2"))
    assert (ALL, "failed") not in counted.totals
    assert Line(Kind.ERROR, "failed", "NETWORK") not in {line for line, _ in counted.totals}
    assert counted.totals[ALL, "sent"] == counted.totals[YOUNG, "delivered"] == 2
    assert not [key for key in counted.minutes if key[2] == SENT_AT - 5]


def test_tasks_are_the_shards_of_all_executions_and_failed_those_of_the_last_end() -> None:
    ends = [End(False, 20, 2), End(False, 10, 5), End(False, 20, 2)]
    counted = book(
        *[ExecutionPlanned("camp_1", "acme", "exec_1", 4)] * 2,
        ExecutionPlanned("camp_1", "acme", "exec_2", 3),
        *(ExecutionEnded("camp_1", "acme", "exec_1", end) for end in ends),
        ExecutionEnded("camp_1", "acme", "exec_2", End(False, 90, 1)),
        ExecutionEnded("camp_1", "acme", "exec_2", End(True, 80, 0)),
        window(completed=True),
        window(number=1, completed=True),
        window(shard=1, completed=True),
    )
    tasks = {metric: count for (line, metric), count in counted.totals.items() if line == ALL}
    assert tasks == {"tasksTotal": 7, "tasksCompleted": 2, "tasksFailed": 2}


def test_a_person_who_clicks_twice_is_one_who_clicked_in_the_minute_of_the_first() -> None:
    counted = book(reached(), click(T + HOUR, "evt_2"), click(T + MINUTE, "evt_1"), click(T + HOUR, "evt_2"))
    for line in (ALL, MESSAGE, YOUNG):
        assert counted.totals[line, "clickedTotal"] == 2
        assert counted.totals[line, "clicked"] == counted.totals[line, "read"] == 1
        assert (
            counted.minutes[line, "clicked", SENT_AT + 1] == counted.minutes[line, "read", SENT_AT + 1] == 1
        )
        assert counted.minutes[line, "clickedTotal", SENT_AT + 60] == 1


def test_a_person_of_two_messages_is_one_in_the_campaign_and_one_in_each_message() -> None:
    second = reached(message="msg_2", variation="", minute=SENT_AT + 1, segments=("buyers",), number=1)
    counted = totals(reached(), second, click(T, "evt_1"), click(T + MINUTE, "evt_2", message="msg_2"))
    once, twice = ({"clicked": 1, "read": 1, "clickedTotal": count} for count in (1, 2))
    assert counted == {ALL: twice, MESSAGE: once, SECOND: once, YOUNG: twice, BUYERS: twice}


def test_a_click_of_somebody_who_is_not_known_to_be_reached_counts_in_the_campaign_alone() -> None:
    assert totals(click(T)) == {ALL: {"clicked": 1, "read": 1, "clickedTotal": 1}}


def test_a_conversion_by_its_click_counts_for_the_message_of_the_click() -> None:
    second = reached(message="msg_2", variation="", minute=SENT_AT + 1, number=1)
    counted = book(reached(), second, conversion(T + DAY, by=ClickTold(T, "msg_1")))
    for line in (ALL, MESSAGE, YOUNG):
        for metric in ("converted", "convertedTotal", "read"):
            assert counted.minutes[line, metric, SENT_AT + 1440] == 1
        assert counted.totals[line, "revenue-EUR"] == 25_000
    assert (SECOND, "converted") not in counted.totals


@pytest.mark.parametrize(
    ("by", "at", "counts"),
    [
        (ClickTold(T, "msg_1"), T + 7 * DAY, True),
        (ClickTold(T, "msg_1"), T + 7 * DAY + 1, False),
        (ClickTold(T, "msg_1"), T, True),
        (ClickTold(T, "msg_1"), T - 1, False),
        (None, T + 7 * DAY, True),
        (None, T + 7 * DAY + 1, False),
        (None, T, True),
        (None, T - 1, False),
    ],
)
def test_a_conversion_counts_within_the_window_after_its_click_or_message(
    by: ClickTold | None, at: int, counts: bool
) -> None:
    counted = totals(reached(), conversion(at, by=by))
    assert (counted != {}) is counts


def test_a_conversion_by_contact_counts_for_the_latest_click_before_it() -> None:
    second = reached(message="msg_2", variation="", minute=SENT_AT + 1, number=1)
    facts = [reached(), second, click(T + HOUR, "evt_1"), click(T + 2 * HOUR, "evt_2", message="msg_2")]
    for at, line, other in ((T + HOUR, MESSAGE, SECOND), (T + 3 * HOUR, SECOND, MESSAGE)):
        counted = totals(*facts, conversion(at))
        assert "converted" in counted[line]
        assert "converted" not in counted[other]


def test_a_conversion_by_contact_without_a_click_in_time_counts_for_the_latest_message_before_it() -> None:
    second = reached(message="msg_2", variation="", minute=SENT_AT + 5 * 1440, number=1)
    old_click = click(T, message="msg_1")
    counted = totals(reached(), second, old_click, conversion(T + 8 * DAY))
    assert counted[SECOND]["converted"] == 1
    assert "converted" not in counted[MESSAGE]


def test_a_conversion_by_contact_of_somebody_who_was_never_reached_counts_nowhere() -> None:
    assert totals(reached("bob"), conversion(T + HOUR)) == {}
    assert totals(conversion(T + HOUR, by=ClickTold(T, "msg_1"))) == {
        ALL: {"converted": 1, "read": 1, "convertedTotal": 1, "revenue-EUR": 25_000}
    }


def test_the_first_interaction_is_a_click_or_a_conversion_and_both_are_one_reading() -> None:
    counted = book(reached(), conversion(T + MINUTE), click(T + HOUR))
    assert [key[2] for key in counted.minutes if key[:2] == (ALL, "read")] == [SENT_AT + 1]


def test_each_currency_is_summed_by_itself_and_a_conversion_once_by_its_name() -> None:
    facts = [reached(), conversion(T), conversion(T), conversion(T + 1, "conv_2", currency="USD", value=1)]
    counted = totals(*facts)[ALL]
    assert counted == {
        "converted": 1, "read": 1, "convertedTotal": 2, "revenue-EUR": 25_000, "revenue-USD": 1,
    }  # fmt: skip


def test_the_order_of_facts_changes_nothing() -> None:
    facts = [
        reached(), reached("bob", number=1), reached(message="msg_2", number=2, minute=SENT_AT + 3),
        *(click(T + n * HOUR, f"evt_{n}", contact=who) for n, who in enumerate(["ann", "bob", "ann", "eve"])),
        conversion(T + DAY), conversion(T + DAY, "conv_2", contact="bob", by=ClickTold(T + HOUR, "msg_1")),
        ExecutionPlanned("camp_1", "acme", "exec_1", 4),
    ]  # fmt: skip
    expected = book(*facts)
    for seed in range(20):
        shuffled = [*facts, *random.Random(seed).choices(facts, k=5)]
        random.Random(seed).shuffle(shuffled)
        assert book(*shuffled) == expected


def test_campaigns_are_books_of_their_own_even_with_the_same_contact() -> None:
    counted = book(reached(), click(T), campaign="camp_2")
    assert counted == Book()
    other = dataclasses.replace(click(T), campaign="camp_2")
    assert book(reached(), click(T), other, campaign="camp_2").totals == Counter(
        {(ALL, metric): 1 for metric in ("read", "clicked", "clickedTotal")}
    )


def test_once_everybody_who_did_something_is_known_receipts_of_nobody_else_are_kept() -> None:
    recount = Recount(7 * DAY, by_minute=False)
    recount.add(click(T))
    recount.nobody_else()
    for fact in (reached(), reached("bob", number=1)):
        recount.add(fact)
    (pile,) = recount._piles.values()
    assert [len(person.receipts) for person in pile.people() if person] == [1]


def test_receipts_of_those_who_did_something_count_although_no_minutes_are_counted() -> None:
    recount = Recount(7 * DAY, by_minute=False)
    recount.add(click(T))
    recount.nobody_else()
    recount.add(reached())
    counted = recount.books()["camp_1"]
    assert counted.totals[YOUNG, "clicked"] == 1
    assert not counted.minutes


def crowd(persons: int) -> Recount:
    """A campaign of which so many persons got a message and clicked on it."""
    recount = Recount(7 * DAY, by_minute=False)
    for number in range(persons):
        recount.add(click(T + number, f"evt_{number}", contact=f"contact_{number}"))
    recount.nobody_else()
    for number in range(persons):
        recount.add(reached(f"contact_{number}", number=number))
    return recount


def test_others_have_a_moment_after_every_few_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recount is done in a process that has more to do, and that keeps a lease meanwhile."""
    settled, at_once = 0, []
    settle = Person.settle

    def noted(person: Person) -> None:
        nonlocal settled
        settled += 1
        settle(person)

    monkeypatch.setattr(Person, "settle", noted)
    before = 0
    for counted in crowd(3 * HEAP).counting():
        at_once.append(settled - before)
        before = settled
        if counted is not None:
            assert counted[1].totals[ALL, "clicked"] == 3 * HEAP
    assert settled == 3 * HEAP
    assert max(at_once) <= BREATH


def test_persons_are_some_bytes_each_until_they_are_counted_a_few_at_a_time() -> None:
    tracemalloc.start()
    try:
        recount = crowd(4 * HEAP)
        held, _ = tracemalloc.get_traced_memory()
        for _ in recount.counting():
            pass
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 4 * HEAP * 300
    assert most < held + HEAP * 1_500


def test_of_more_clicks_than_a_person_can_do_the_earliest_count() -> None:
    clicks = [click(T + n * MINUTE, f"evt_{n}") for n in range(MOST_CLICKS + 20)]
    counted = book(reached(), *reversed(clicks), *clicks)
    assert counted.totals[ALL, "clickedTotal"] == MOST_CLICKS
    assert max(key[2] for key in counted.minutes) == SENT_AT + MOST_CLICKS - 1
