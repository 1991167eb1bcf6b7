"""Reading NDJSON and CSV: every line is told apart, whatever the chunks and whatever is broken."""

import tracemalloc
from collections.abc import Iterable

import pytest
from execution_service.application.import_contacts import ImportLine
from execution_service.entrypoints.api.csv_contacts import CsvReader
from execution_service.entrypoints.api.lines import MAX_LINE_BYTES, LineSplitter, RawLine
from execution_service.entrypoints.api.ndjson import NdjsonReader
from hypothesis import given
from hypothesis import strategies as st
from service_kit.errors import FieldErrors

HEADER = b"id,telegramChatId,firstName,segments\n"


def _split(data: bytes, cuts: Iterable[int]) -> list[RawLine]:
    splitter, lines, start = LineSplitter(), list[RawLine](), 0
    for cut in [*sorted(cuts), len(data)]:
        lines += splitter.feed(data[start:cut])
        start = max(start, cut)
    return lines + splitter.finish()


def _read(reader: NdjsonReader | CsvReader, data: bytes, cuts: Iterable[int] = ()) -> list[ImportLine]:
    return [*reader.feed(_split(data, cuts)), *reader.finish()]


def _told(lines: list[ImportLine]) -> list[tuple[int, str]]:
    """Line number and the contact's id, or `!` for a refused line."""
    return [(line.number, "!" if line.problem else line.contact_id) for line in lines]


@given(
    data=st.lists(st.sampled_from([b"a", b"\xc3\xa9", b'"', b"\n", b"\r\n", b","])).map(b"".join),
    cuts=st.lists(st.integers(0, 60)),
)
def test_lines_do_not_depend_on_the_chunks(data: bytes, cuts: list[int]) -> None:
    cuts = [min(cut, len(data)) for cut in cuts]
    expected = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    if expected[-1] == b"" and not data.endswith(b"\r"):
        expected.pop()
    assert _split(data, cuts) == list(enumerate(expected, 1))


def test_a_line_over_the_limit_is_dropped_while_it_comes_in_and_the_next_one_is_read() -> None:
    splitter = LineSplitter()
    for _ in range(100):
        assert splitter.feed(b"x" * 4096) == []
    assert splitter.feed(b"\nok\n") == [(1, None), (2, b"ok")]
    at_limit = b"y" * MAX_LINE_BYTES
    assert splitter.feed(at_limit + b"\n") == [(3, at_limit)]


def test_broken_ndjson_lines_do_not_stop_the_good_ones() -> None:
    lines = [
        b'\xef\xbb\xbf{"id": "c1", "telegramChatId": 1}\r',
        b"",
        b'{"id": "c2", "telegramChatId": 2',
        b"[1]",
        b'{"id": "c3", "firstName": "\xff"}',
        b'{"telegramChatId": 4}',
        b'{"id": "c5", "telegramChatId": NaN}',
        b'{"id": "c6", "nope": 1}',
        b'{"id": "c7", "firstName": "' + b"x" * MAX_LINE_BYTES + b'"}',
        b"[" * 5000,
        b'{"id": "c8", "telegramChatId": 123456789012345678901234567890}',
        b'{"id": "c9", "telegramChatId": 9}',
    ]
    told = _told(_read(NdjsonReader(), b"\n".join(lines)))
    assert told == [(1, "c1"), *((number, "!") for number in range(3, 12)), (12, "c9")]


def test_csv_cells_get_their_fields_types() -> None:
    data = (
        "\ufeffid,telegramChatId,age,tester,interests,segments,attributes.plan,attributes.n,attributes.zip\r\n"
        'c1,-100123,36,true,"a; b|c",s1;s2,pro,1.5,007\r\n'
        "c2,2,,,,,,,\r\n"
    ).encode()
    first, second = _read(CsvReader(), data, cuts=[3, 50, 51])
    assert first.changes == {
        "telegram_chat_id": -100123,
        "age": 36,
        "tester": True,
        "interests": ("a", "b", "c"),
        "segments": ("s1", "s2"),
        "attributes": {"plan": "pro", "n": 1.5, "zip": "007"},
    }
    assert second.changes == {"telegram_chat_id": 2}


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends() -> None:
    data = HEADER + b'c1,1,"O\'Neil, ""Al""\n2nd line",s1\nc2,2,Bo,s1\n'
    first, second = _read(CsvReader(), data)
    assert first.changes["first_name"] == 'O\'Neil, "Al"\n2nd line'
    assert _told([first, second]) == [(2, "c1"), (4, "c2")]


@pytest.mark.parametrize(
    "broken",
    [
        b'c2,2,"never closed,s1',
        b'c2,2,5" screen,s1',
        b"c2,2,too,many,cells",
        b"c2,2",
        b"c2,2,\xff,s1",
        b"c2,two,Bo,s1",
        b",2,Bo,s1",
        b"c2,2," + b"x" * MAX_LINE_BYTES + b",s1",
    ],
)
def test_a_broken_csv_line_costs_itself_alone(broken: bytes) -> None:
    data = HEADER + b"c1,1,Al,s1\n" + broken + b'\nc3,3,"Cy",s1\nc4,4,Di,s1\n'
    assert _told(_read(CsvReader(), data)) == [(2, "c1"), (3, "!"), (4, "c3"), (5, "c4")]


def test_two_stray_quotes_cost_two_lines() -> None:
    data = HEADER + b'c1,1,5" tv,s1\nc2,2,Bo,s1\nc3,3,6" tv,s1\nc4,4,Di,s1'
    assert _told(_read(CsvReader(), data)) == [(2, "!"), (3, "c2"), (4, "!"), (5, "c4")]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"telegramChatId\n1\n",
        b"id,id\nc1,c1\n",
        b'"id,never closed\nc1,1\n',
        b"\xff\xfeid\n",
    ],
)
def test_a_header_that_cannot_be_used_is_refused_as_a_whole(data: bytes) -> None:
    with pytest.raises(FieldErrors):
        _read(CsvReader(), data)


def _problems(reader: NdjsonReader | CsvReader, data: bytes) -> list[tuple[int, str]]:
    return [(line.number, line.problem) for line in _read(reader, data) if line.problem]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"id": "c1", "telegramChatId": 0}', "telegramChatId: must not be 0"),
        (b'{"id": "c1", "telegramChatId": "5"}', "telegramChatId: must be an integer"),
        (b'{"id": "c1", "telegramChatId": 5.0}', "telegramChatId: must be an integer"),
        (b'{"id": "c1", "telegramChatId": 9223372036854775808}', "telegramChatId: must fit into 64 bits"),
        (b'{"id": "c1", "telegramChatId": 123456789012345678901}', "telegramChatId: must fit into 64 bits"),
        (
            b'{"id": "c1", "timezone": "Mars/Base"}',
            "timezone: must be an IANA time zone such as Europe/Berlin",
        ),
        (b'{"id": "c1", "firstName": "Zo\xeb"}', "not UTF-8, at byte 30"),
        (
            b'{"id": "c1", "firstName": "a\\u0000b"}',
            "firstName: must not contain the control character U+0000",
        ),
        (b'{"id": "c1", "firstName": "a\x00b"}', "not valid JSON: "),
        (b'{"id": "c1", "telegramCh', "not valid JSON: unexpected end of data at character 25"),
    ],
)
def test_a_bad_ndjson_line_is_told_by_field_and_rule(line: bytes, problem: str) -> None:
    good = b'{"id": "c2", "telegramChatId": 2}'
    lines = _read(NdjsonReader(), line + b"\n" + good)
    assert _told(lines) == [(1, "!"), (2, "c2")]
    assert (lines[0].problem or "").startswith(problem)


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (b"c1,0,Al,s1", "telegramChatId: must not be 0"),
        (b"c1,x,Al,s1", "telegramChatId: must be an integer"),
        (b"c1,1.0,Al,s1", "telegramChatId: must be an integer"),
        (b"c1,9223372036854775808,Al,s1", "telegramChatId: must fit into 64 bits"),
        (b"c1,1,Zo\xeb,s1", "firstName: is not UTF-8"),
        (b'c1,1,"Zo\xeb, the first",s1', "firstName: is not UTF-8"),
        (b"c1,1,a\x00b,s1", "firstName: must not contain the control character U+0000"),
        (b'c1,1,"Al', "a quote is not closed"),
        (b"c1,1", "2 cells, and the header names 4"),
    ],
)
def test_a_bad_csv_line_is_told_by_field_and_rule(row: bytes, problem: str) -> None:
    lines = _read(CsvReader(), HEADER + b"c0,9,Di,s1\n" + row)
    assert _told(lines) == [(2, "c0"), (3, "!")]
    assert lines[1].problem == problem


def test_columns_that_no_contact_has_are_told_once_and_passed_over() -> None:
    unknown = [f"x{n}" for n in range(198)]
    data = ",".join(["id", "telegramChatId", *unknown]) + "\n" + ",".join(["c1", "5", *unknown]) + "\n"
    note, line = _read(CsvReader(), data.encode())
    assert (note.number, note.note, note.problem) == (
        1, True, "unknown columns, passed over: " + ", ".join(unknown),
    )  # fmt: skip
    assert (line.number, line.changes) == (2, {"telegram_chat_id": 5})


def test_two_hundred_attributes_are_told_line_by_line() -> None:
    columns = ["id", "telegramChatId", *(f"attributes.k{n}" for n in range(198))]
    data = ",".join(columns) + "\n" + ",".join(["c1", "5", *["1"] * 198]) + "\n"
    (line,) = _read(CsvReader(), data.encode())
    assert len(line.changes["attributes"]) == 198, "whether they are too many the contact decides"


def test_a_line_of_ten_megabytes_costs_itself_alone_and_is_not_held() -> None:
    chunk = b"x" * 65_536
    tracemalloc.start()
    splitter, reader = LineSplitter(), NdjsonReader()
    lines = [*splitter.feed(b'{"id": "c1", "telegramChatId": 1}\n{"id": "')]
    for _ in range(160):
        lines += splitter.feed(chunk)
    lines += splitter.feed(b'"}\n{"id": "c3", "telegramChatId": 3}\n')
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert _told(reader.feed(lines)) == [(1, "c1"), (2, "!"), (3, "c3")]
    assert most < 1024 * 1024


@pytest.mark.parametrize("data", [b"", b"\n\r\n \n", b"\xef\xbb\xbf"])
def test_an_empty_ndjson_file_holds_nobody(data: bytes) -> None:
    assert _read(NdjsonReader(), data) == []


@pytest.mark.parametrize("reader", [NdjsonReader, CsvReader])
@pytest.mark.parametrize("after", range(7))
def test_lines_up_to_where_an_import_is_are_not_applied_again(
    reader: type[NdjsonReader] | type[CsvReader], after: int
) -> None:
    data = HEADER + b'c2,2,"two\nlines",s1\nc4,bad,Bo,s1\nc5,5,5" tv,s1\nc6,6,Di,s1\n'
    if reader is NdjsonReader:
        data = b'\n{"id": "c2"}\n\n{"id": 4}\n{\n{"id": "c6"}'
    whole = _read(reader(), data)
    assert [line for line in _read(reader(after=after), data) if line.number > after] == [
        line for line in whole if line.number > after
    ]


def test_who_is_unreachable_cannot_be_imported_only_taken_back() -> None:
    csv = b"id,telegramChatId,unreachable\nc1,1,BLOCKED\nc2,2,\nc3,3,gone\n"
    lines = _read(CsvReader(), csv)
    assert [dict(line.changes) for line in lines[:2]] == [{"telegram_chat_id": 1}, {"telegram_chat_id": 2}]
    assert lines[2].problem == "unreachable: can only be emptied (null): deliveries set it"
    ndjson = b'{"id": "c1", "unreachable": null}\n{"id": "c2", "unreachable": "NO_CHAT"}\n'
    assert [dict(line.changes) for line in _read(NdjsonReader(), ndjson)] == [{"unreachable": None}, {}]
