"""Keys of the numbers: every line has one of its own, and ranges hold what they say."""

from hypothesis import given
from hypothesis import strategies as st
from stats_service.adapters.book_keys import (
    book_of,
    day_key,
    days_range,
    hour_key,
    hours_range,
    kind_range,
    line_and_time,
    line_of_total,
    total_key,
)
from stats_service.domain.dimensions import ALL, Kind, Line

NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
LINES = st.one_of(
    st.just(ALL),
    st.builds(Line, st.just(Kind.MESSAGE), NAMES, st.one_of(st.just(""), NAMES)),
    st.builds(Line, st.just(Kind.SEGMENT), NAMES, st.just("")),
    st.builds(Line, st.just(Kind.ERROR), NAMES, NAMES),
)
BOOKS = st.builds(book_of, NAMES, st.integers(0, 30))
DAYS = st.integers(0, 90_000)


@given(BOOKS, LINES, DAYS)
def test_a_key_reads_back_as_the_line_and_time_that_it_was_made_for(book: str, line: Line, time: int):
    assert line_of_total(total_key(book, line)) == line
    assert line_and_time(day_key(book, time, line)) == (line, time)
    assert line_and_time(hour_key(book, time, line)) == (line, time)


@given(BOOKS, LINES, st.sampled_from(Kind), DAYS, DAYS, DAYS)
def test_a_range_holds_exactly_the_lines_of_its_kind_and_time(
    book: str, line: Line, kind: Kind, time: int, one: int, two: int
):
    first, last = sorted((one, two))
    for key_of, range_of in ((day_key, days_range), (hour_key, hours_range)):
        start, stop = range_of(book, kind, first, last)
        inside = start <= key_of(book, time, line) < stop
        assert inside == (line.kind is kind and first <= time <= last)
    start, stop = kind_range(book, kind)
    assert (start <= total_key(book, line) < stop) == (line.kind is kind)


@given(BOOKS, BOOKS, LINES)
def test_books_share_no_range(book: str, other: str, line: Line):
    start, stop = kind_range(book, line.kind)
    assert (start <= total_key(other, line) < stop) == (book == other)
