"""Contacts of the execution bench, as lines to import (number n is chat n), and what is said to them."""

import csv
import io
import json
from collections.abc import Iterator

BOT_ID = 7_000_000_100
BOT_TOKEN = f"{BOT_ID}:only-the-sink-knows-this-one"
SEGMENT = "bench"
CONTENT = (
    "Hello {{firstName|there}}! Summer sale: 30 percent off everything until Sunday. See you in the shop."
)
LINES_AT_ONCE = 500
_PLACES = ("US", "DE", "IN", "BR", "PL", "JP", "FR", "GB")
_FIELDS = (
    "id", "telegramChatId", "firstName", "language", "location", "age", "interests", "segments",
    "attributes.tier",
)  # fmt: skip


def contact_id(number: int) -> str:
    """The id of contact `number`."""
    return f"c{number:09d}"


def message_text(number: int) -> str:
    """What contact `number` gets."""
    return CONTENT.replace("{{firstName|there}}", f"Name{number}")


def contact(number: int) -> dict[str, object]:
    """The contact as its import line."""
    return {
        "id": contact_id(number), "telegramChatId": number, "firstName": f"Name{number}", "language": "en",
        "location": _PLACES[number % len(_PLACES)], "age": 18 + number % 60,
        "interests": ["shopping", "fashion"], "segments": [SEGMENT], "attributes": {"tier": "gold"},
    }  # fmt: skip


def ndjson(count: int) -> Iterator[bytes]:
    """The contacts 1 to `count`, some lines at a time."""
    for begin in range(1, count + 1, LINES_AT_ONCE):
        numbers = range(begin, min(begin + LINES_AT_ONCE, count + 1))
        yield b"".join(json.dumps(contact(number)).encode() + b"\n" for number in numbers)


def csv_lines(count: int) -> Iterator[bytes]:
    """The same as CSV, under its header."""
    yield ",".join(_FIELDS).encode() + b"\n"
    for begin in range(1, count + 1, LINES_AT_ONCE):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            _cells(number) for number in range(begin, min(begin + LINES_AT_ONCE, count + 1))
        )
        yield text.getvalue().encode()


def _cells(number: int) -> list[object]:
    row = contact(number) | {"attributes.tier": "gold"}
    return [";".join(value) if isinstance(value := row[name], list) else value for name in _FIELDS]
