"""Contacts as CSV (RFC 4180, UTF-8): a header row of field names, `attributes.<key>` among them.

Mental model: a record is one line, or several while a quote is open. What cannot be a record gives up
its first line only, and the lines after it are read afresh: a stray quote costs one line, not the rest
of the file. An empty cell says nothing about its field.
"""

import csv
import re
from collections import deque
from collections.abc import Iterable
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
_INTEGERS = frozenset({"telegramChatId", "age"})
_LISTS = frozenset({"interests", "segments"})
_BOOLEANS = frozenset({"purchaseHistory", "tester", "optedOut"})


class CsvReader:
    """Turns raw lines into import lines. Raises FieldErrors on a header it cannot use."""

    def __init__(self) -> None:
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
            elif self._open or raw.strip():
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
            cells = _cells([raw for _, raw in self._open])
        except ValueError as error:
            return [self._give_up_first(todo, str(error))]
        if self._columns is None:
            self._release()
            self._columns = _header(cells)
            return []
        if len(cells) != len(self._columns):
            problem = f"{len(cells)} cells, and the header names {len(self._columns)}"
            return [self._give_up_first(todo, problem)]
        size = self._size
        number = self._release()[0][0]
        try:
            fields = _fields(self._columns, cells)
            return [ImportLine(number, size, read_contact_id(fields.get("id")), read_changes(fields))]
        except FieldErrors as error:
            return [ImportLine(number, size, problem=error.message)]


def _cells(lines: list[bytes]) -> list[str]:
    """The cells of one record. Raises ValueError."""
    try:
        rows = list(csv.reader([line.decode() + "\n" for line in lines], strict=True))
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except csv.Error:
        raise ValueError("not valid CSV") from None
    if len(rows) != 1:
        raise ValueError("a quote stands inside a cell that is not quoted")
    return rows[0]


def _header(cells: list[str]) -> list[str]:
    columns = [cell.strip() for cell in cells]
    for column in columns:
        known = column in FIELDS - {"attributes"} or column in READ_ONLY or column.startswith("attributes.")
        if not known:
            raise _unusable(column[:100] or "header", "unknown column")
        if columns.count(column) > 1:
            raise _unusable(column[:100], "the column is there twice")
    if "id" not in columns:
        raise _unusable("id", "the column is missing")
    return columns


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
        else:
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
