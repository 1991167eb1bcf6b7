"""Contacts as CSV (RFC 4180, UTF-8): a header row of field names, `attributes.<key>` among them.

Mental model: a record is one line, or several while a quote is open. What cannot be a record gives up
its first line only, and the lines after it are read afresh: a stray quote costs one line, not the rest
of the file. An empty cell says nothing about its field. Columns that no contact has are told once, with the
header's line, and passed over; a header without `id`, or with a column twice, cannot be used at all.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from service_kit.errors import Detail, FieldErrors

from execution_service.application.import_contacts import ImportLine
from execution_service.domain.contact_fields import FIELDS, READ_ONLY, read_changes, read_contact_id
from execution_service.entrypoints.api.lines import MAX_LINE_BYTES, RawLine
from execution_service.entrypoints.api.ndjson import TOO_LONG

_INTEGER = re.compile(r"[+-]?\d{1,20}", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,10})?", re.ASCII)
_FLAGS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_LIST_SEPARATORS = re.compile(r"[;|]")
COLUMNS_TOLD = 250
_INTEGERS = frozenset({"telegramChatId", "age"})
_LISTS = frozenset({"interests", "segments"})
_BOOLEANS = frozenset({"purchaseHistory", "tester", "optedOut"})


class CsvReader:
    """Turns raw lines into import lines, those up to the number `after` not in full.

    Raises FieldErrors on a header it cannot use.
    """

    def __init__(self, *, after: int = 0) -> None:
        self._after = after
        self._columns: list[str] | None = None
        self._open: list[tuple[int, bytes]] = []
        self._size = 0
        self._in_quotes = False

    def feed(self, lines: Iterable[RawLine]) -> list[ImportLine]:
        """The contacts of the records that `lines` complete, and why the others are none."""
        todo, out = deque(lines), list[ImportLine]()
        while todo:
            number, raw = todo.popleft()
            if raw is None:
                if self._open:
                    todo.appendleft((number, None))
                    out.append(self._give_up_first(todo, "a quote is not closed"))
                else:
                    out.append(ImportLine(number, 0, problem=TOO_LONG))
            elif self._open or (raw and not raw.isspace()):
                self._hold(number, raw)
                if not self._in_quotes or self._size > MAX_LINE_BYTES:
                    out += self._close(todo)
        return out

    def finish(self) -> list[ImportLine]:
        """What is left when the file ends. Raises FieldErrors when there was no header."""
        out: list[ImportLine] = []
        while self._open:
            todo: deque[RawLine] = deque()
            out.append(self._give_up_first(todo, "a quote is not closed"))
            out += self.feed(todo)
        if self._columns is None:
            raise _unusable("header", "the first line must name the columns")
        return out

    def _hold(self, number: int, raw: bytes) -> None:
        self._open.append((number, raw))
        self._size += len(raw) + 1
        self._in_quotes ^= raw.count(b'"') % 2 == 1

    def _release(self) -> list[tuple[int, bytes]]:
        held, self._open, self._size, self._in_quotes = self._open, [], 0, False
        return held

    def _give_up_first(self, todo: deque[RawLine], problem: str) -> ImportLine:
        if self._columns is None:
            raise _unusable("header", problem)
        (number, raw), *others = self._release()
        todo.extendleft(reversed(others))
        return ImportLine(number, len(raw), problem=problem)

    def _close(self, todo: deque[RawLine]) -> list[ImportLine]:
        try:
            cells = _cells([raw for _, raw in self._open], self._columns)
        except ValueError as error:
            return [self._give_up_first(todo, str(error))]
        if self._columns is None:
            number = self._release()[0][0]
            self._columns = [cell.strip() for cell in cells]
            unknown = _unknown(self._columns)
            return [ImportLine(number, 0, problem=_told(unknown), note=True)] if unknown else []
        if len(cells) != len(self._columns):
            problem = f"{len(cells)} cells, and the header names {len(self._columns)}"
            return [self._give_up_first(todo, problem)]
        size = self._size
        number = self._release()[0][0]
        if number <= self._after:
            return []
        try:
            fields = _fields(self._columns, cells)
            return [ImportLine(number, size, read_contact_id(fields.get("id")), read_changes(fields))]
        except FieldErrors as error:
            return [ImportLine(number, size, problem=error.message)]


def _cells(lines: list[bytes], columns: list[str] | None) -> list[str]:
    """The cells of one record. Raises ValueError."""
    try:
        rows = list(csv.reader([line.decode() + "\n" for line in lines], strict=True))
    except UnicodeDecodeError:
        raise ValueError(_not_utf8(lines, columns or [])) from None
    except csv.Error:
        raise ValueError("not valid CSV") from None
    if len(rows) != 1:
        raise ValueError("a quote stands inside a cell that is not quoted")
    return rows[0]


def _not_utf8(lines: list[bytes], columns: list[str]) -> str:
    """Which column is at fault, as far as that can be told: every byte is a character of Latin-1."""
    with suppress(csv.Error):
        row = next(csv.reader([line.decode("latin-1") + "\n" for line in lines], strict=True), [])
        for column, cell in zip(columns, row, strict=False):
            try:
                cell.encode("latin-1").decode()
            except UnicodeDecodeError:
                return f"{column[:100]}: is not UTF-8"
    return "not UTF-8"


def _unknown(columns: list[str]) -> list[str]:
    """The columns that no contact has. Raises FieldErrors when the header cannot be used."""
    unknown = []
    for column in columns:
        if column not in FIELDS - {"attributes"} | READ_ONLY and not column.startswith("attributes."):
            unknown.append(column)
        elif columns.count(column) > 1:
            raise _unusable(column[:100], "the column is there twice")
    if "id" not in columns:
        raise _unusable("id", "the column is missing")
    return unknown


def _told(unknown: list[str]) -> str:
    names = ", ".join(column[:50] or "(no name)" for column in unknown[:COLUMNS_TOLD])
    more = f" and {len(unknown) - COLUMNS_TOLD} more" if len(unknown) > COLUMNS_TOLD else ""
    return f"unknown columns, passed over: {names}{more}"


def _unusable(field: str, problem: str) -> FieldErrors:
    return FieldErrors(f"{field}: {problem}", details=[Detail(field, problem)])


def _fields(columns: list[str], cells: list[str]) -> dict[str, Any]:
    """Cells with the types that their fields have; one that has not stays text, and is refused as such."""
    fields: dict[str, Any] = {}
    attributes: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        bare = cell.strip()
        if not bare:
            continue
        if column.startswith("attributes."):
            attributes[column.removeprefix("attributes.")] = _scalar(bare)
        elif column in _LISTS:
            fields[column] = [part.strip() for part in _LIST_SEPARATORS.split(cell) if part.strip()]
        elif column in _INTEGERS:
            fields[column] = int(bare) if _INTEGER.fullmatch(bare) else bare
        elif column in _BOOLEANS:
            fields[column] = _FLAGS.get(bare.lower(), bare)
        elif column in FIELDS or column in READ_ONLY:
            fields[column] = bare
    if attributes:
        fields["attributes"] = attributes
    return fields


def _scalar(text: str) -> str | int | float | bool:
    """Numbers, true and false become such when nothing written is lost: `007` and `1.50` stay text."""
    if text in ("true", "false"):
        return text == "true"
    if _NUMBER.fullmatch(text):
        number = float(text) if "." in text else int(text)
        if str(number) == text:
            return number
    return text
