"""Contacts as NDJSON: one JSON object a line, in the API's own field names plus `id`."""

from collections.abc import Iterable

import orjson
from service_kit.errors import FieldErrors

from execution_service.application.import_contacts import ImportLine
from execution_service.domain.contact_fields import read_changes, read_contact_id
from execution_service.entrypoints.api.lines import MAX_LINE_BYTES, RawLine

TOO_LONG = f"the line is over {MAX_LINE_BYTES} bytes"


class NdjsonReader:
    """Turns raw lines into import lines; blank ones, and those up to the number `after`, are passed over."""

    def __init__(self, *, after: int = 0) -> None:
        self._after = after

    def feed(self, lines: Iterable[RawLine]) -> list[ImportLine]:
        """The contacts of `lines`, and why the others are none."""
        return [
            _read(number, raw)
            for number, raw in lines
            if number > self._after and (raw is None or (raw and not raw.isspace()))
        ]

    def finish(self) -> list[ImportLine]:
        """Nothing is ever held back."""
        return []


def _read(number: int, raw: bytes | None) -> ImportLine:
    if raw is None:
        return ImportLine(number, 0, problem=TOO_LONG)
    try:
        fields = orjson.loads(raw)
        if not isinstance(fields, dict):
            return ImportLine(number, len(raw), problem="not a JSON object")
        contact_id = read_contact_id(fields.get("id"))
        return ImportLine(number, len(raw), contact_id, read_changes(fields))
    except orjson.JSONDecodeError as error:
        return ImportLine(number, len(raw), problem=_not_json(raw, error))
    except FieldErrors as error:
        return ImportLine(number, len(raw), problem=error.message)


def _not_json(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        return f"not UTF-8, at byte {broken.start + 1}"
    return f"not valid JSON: {error.msg.partition(':')[0]} at character {error.pos + 1}"
