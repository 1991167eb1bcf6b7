"""What one contact did, and what it counts."""

from collections import Counter
from functools import reduce
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stats_service.domain.dimensions import ALL, Cell, Kind, Line
from stats_service.domain.facts import ClickTold
from stats_service.domain.person import (
    MOST_CLICKS,
    Click,
    Conversion,
    Person,
    Received,
    contributions,
    difference,
)

MINUTE = 60_000
DAY = 24 * 60 * MINUTE
WINDOW = 7 * DAY
SENT_AT = 1_000
GOT = Received(SENT_AT, "msg_1", "var_1", ("seg_a", "seg_b"))
MESSAGE = Line(Kind.MESSAGE, "msg_1", "var_1")
SEGMENTS = [Line(Kind.SEGMENT, "seg_a"), Line(Kind.SEGMENT, "seg_b")]


def click(name: str, minute: int, message: str = "msg_1") -> Click:
    return Click(minute * MINUTE, name.encode(), message)


def conversion(name: str, minute: int, value: int = 0, **more: Any) -> Conversion:
    return Conversion(minute * MINUTE, name.encode(), value, "EUR", **more)


def person(*did: Received | Click | Conversion) -> Person:
    """Somebody who did all this, in this order."""
    return reduce(does, did, Person())


def does(made: Person, one: Received | Click | Conversion) -> Person:
    """The person after one thing more."""
    if isinstance(one, Received):
        return made.reached([one])
    return made.clicked(one) if isinstance(one, Click) else made.converted(one)


def counted(made: Person, line: Line) -> dict[str, list[int]]:
    """Metric → the minutes in which it is counted, for a line; money is told as the metric's value."""
    found: dict[str, list[int]] = {}
    for cell, number in sorted(contributions(made, WINDOW).items()):
        if cell.line == line:
            found.setdefault(cell.metric, []).extend([cell.minute] * number)
    return found


def test_every_click_counts_in_its_minute_and_a_person_once_in_that_of_the_first() -> None:
    made = person(click("b", 1_005), GOT, click("a", 1_002))
    for line in (ALL, MESSAGE, *SEGMENTS):
        assert counted(made, line) == {"clickedTotal": [1_002, 1_005], "clicked": [1_002], "read": [1_002]}


def test_a_click_counts_for_the_message_that_it_was_on_and_once_for_each_such_message() -> None:
    other = Received(1_001, "msg_2", "", ("seg_a",))
    made = person(GOT, other, click("a", 1_002), click("b", 1_003, "msg_2"), click("c", 1_004, "msg_2"))
    assert counted(made, ALL)["clicked"] == [1_002]
    assert counted(made, MESSAGE)["clickedTotal"] == [1_002]
    second = Line(Kind.MESSAGE, "msg_2")
    assert counted(made, second) == {"clickedTotal": [1_003, 1_004], "clicked": [1_003], "read": [1_003]}


def test_what_reached_nobody_knows_yet_counts_for_the_campaign_alone() -> None:
    assert {cell.line for cell in contributions(person(click("a", 1_002)), WINDOW)} == {ALL}
    lines = {cell.line for cell in contributions(person(GOT, click("a", 1_002, "msg_9")), WINDOW)}
    assert lines == {ALL, *SEGMENTS}


def test_conversions_count_each_with_its_revenue_and_a_person_once() -> None:
    made = person(GOT, conversion("b", 1_500, 20_000), conversion("a", 1_400, 5_000))
    cells = contributions(made, WINDOW)
    for line in (ALL, MESSAGE, *SEGMENTS):
        assert {cell: number for cell, number in cells.items() if cell.line == line} == {
            Cell(1_400, line, "convertedTotal"): 1,
            Cell(1_500, line, "convertedTotal"): 1,
            Cell(1_400, line, "revenue-EUR"): 5_000,
            Cell(1_500, line, "revenue-EUR"): 20_000,
            Cell(1_400, line, "converted"): 1,
            Cell(1_400, line, "read"): 1,
        }


def test_a_conversion_before_the_first_click_is_the_first_interaction() -> None:
    made = person(GOT, click("a", 1_009), conversion("b", 1_004))
    assert counted(made, ALL)["read"] == [1_004]


AT = SENT_AT * MINUTE


@pytest.mark.parametrize(
    ("at", "clicks", "named", "counts"),
    [
        (AT + 1, [], None, True),
        (AT - 1, [], None, False),
        (AT, [], None, True),
        (AT + WINDOW, [], None, True),
        (AT + WINDOW + 1, [], None, False),
        (AT + WINDOW + 1, [AT + DAY], None, True),  # the click was later than the message
        (AT + WINDOW + 1, [AT + WINDOW + 2], None, False),  # a click afterwards led to nothing
        (AT + 9 * DAY, [AT], None, False),
        (AT + DAY, [], AT + DAY, True),
        (AT + DAY, [], AT + DAY + 1, False),
        (AT + 9 * DAY, [], AT + 2 * DAY, True),
        (AT + 9 * DAY, [AT + 8 * DAY], AT + DAY, False),  # what the click id says holds
    ],
)
def test_a_conversion_counts_within_the_window_after_what_led_to_it(
    at: int, clicks: list[int], named: int | None, counts: bool
) -> None:
    made = person(GOT, *(Click(moment, bytes([moment % 251]), "msg_1") for moment in clicks))
    told = None if named is None else ClickTold(named, "msg_1")
    made = made.converted(Conversion(at, b"conv", 7, "EUR", told))
    assert ("converted" in counted(made, ALL)) is counts


def test_a_conversion_of_a_contact_that_was_never_reached_never_counts() -> None:
    assert contributions(person(conversion("a", 1_001)), WINDOW) == {}


def test_a_conversion_counts_for_the_last_message_before_it_and_rather_for_that_of_the_last_click() -> None:
    later = Received(1_100, "msg_2", "", ())
    second = Line(Kind.MESSAGE, "msg_2")
    for did, line in (
        ([conversion("a", 1_099)], MESSAGE),
        ([conversion("a", 1_100)], second),
        ([click("c", 1_101, "msg_1"), conversion("a", 1_102)], MESSAGE),
        ([click("c", 1_101, "msg_1"), click("d", 1_102, "msg_2"), conversion("a", 1_103)], second),
        ([click("c", 1_101), conversion("a", 1_103, click=ClickTold(AT, "msg_2"))], second),
    ):
        made = person(GOT, later, *did)
        found = {cell.line for cell in contributions(made, WINDOW) if cell.metric == "converted"}
        assert found == {ALL, line, *SEGMENTS}


def test_the_earliest_clicks_are_kept_whatever_came_first() -> None:
    clicks = [click(str(number), number) for number in range(MOST_CLICKS + 5)]
    forwards, backwards = person(*clicks), person(*reversed(clicks))
    assert forwards == backwards
    assert forwards.clicks == tuple(clicks[:MOST_CLICKS])
    assert forwards.clicked(clicks[-1]) is forwards


names = st.binary(min_size=1, max_size=1)
moments = st.integers(990 * MINUTE, 1_010 * MINUTE) | st.integers(0, 3 * WINDOW)
messages = st.sampled_from(["msg_1", "msg_2"])
deeds = st.one_of(
    st.builds(Received, st.integers(995, 1_005), messages, st.sampled_from(["", "v"]), st.just(("seg_a",))),
    st.builds(Click, moments, names, messages),
    st.builds(
        Conversion,
        moments,
        names,
        st.integers(0, 99),
        st.sampled_from(["EUR", "USD"]),
        st.none() | st.builds(ClickTold, moments, messages),
    ),
)


@given(st.lists(deeds, max_size=12, unique_by=lambda did: (type(did), did[1])), st.data())
def test_the_differences_of_any_order_add_up_to_what_the_person_counts(
    did: list[Any], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(did), max_size=5)) if did else []
    order = data.draw(st.permutations([*did, *again]))
    added: Counter[Cell] = Counter()
    made = Person()
    for one in order:
        before, made = made, does(made, one)
        for cell, number in difference(contributions(before, WINDOW), contributions(made, WINDOW)):
            added[cell] += number
    assert made == person(*did)
    assert {cell: number for cell, number in added.items() if number} == {
        cell: number for cell, number in contributions(made, WINDOW).items() if number
    }
