"""The simulator's own record of every request of a sending method.

Kept in columns (arrays of machine numbers, 64 bytes an entry), not objects: a million entries take about
64 MB. Media and buttons, which few messages have, stand in a table beside. Rows are only appended; readers
take the number of rows first and read up to it, so a long stream sees one moment while new rows arrive.
Clearing puts new columns in place, and a running reader keeps the old.
"""

import sys
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from hashlib import sha256
from typing import NamedTuple

import msgspec

from telegram_simulator.outcomes import OUTCOME_NAMES, REACHED, Outcome

METHODS = ("sendMessage", "sendPhoto", "sendVideo", "sendDocument", "sendAnimation")

# Chat ids are stored as 64-bit numbers. Ids that are none (names, or nothing) are stored as places in a
# side table, from here downwards, where no Telegram id can be.
_NAMES_FROM = -(1 << 62)
_NO_TEXT = bytes(32)
_NO_STATUS = 0


class Entry(msgspec.Struct, frozen=True):
    """One line of GET /ledger. `at` is seconds since the epoch; `status` is null when no answer was given."""

    seq: int
    bot_id: int | None
    method: str
    chat_id: int | str | None
    text_sha256: str | None
    at: float
    outcome: str
    status: int | None
    message_id: int | None
    media: str | None = None
    buttons: msgspec.Raw | None = None


class Filter(NamedTuple):
    """Which entries are wanted; None and 0 take all."""

    bot_id: int | None = None
    chat_id: int | None = None
    since_seq: int = 0


class Summary(msgspec.Struct):
    """Answer of GET /ledger/summary. Statuses are texts: the code, or "none" for a dropped answer."""

    total: int
    by_outcome: dict[str, int]
    by_status: dict[str, int]
    chats_delivered: int
    chats_delivered_more_than_once: int


class _Columns:
    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.bot_id = array("q")
        self.method = array("B")
        self.chat_id = array("q")
        self.text_sha256 = bytearray()
        self.at = array("q")
        self.outcome = array("B")
        self.status = array("H")
        self.message_id = array("I")
        self.names: list[str | None] = []
        self.places: dict[str | None, int] = {}
        self.shown: dict[int, tuple[str | None, bytes | None]] = {}

    def __len__(self) -> int:
        return len(self.outcome)

    def stored_chat(self, chat: int | str | None) -> int:
        if isinstance(chat, int) and chat > _NAMES_FROM:
            return chat
        name = str(chat) if chat is not None else None
        place = self.places.setdefault(name, len(self.names))
        if place == len(self.names):
            self.names.append(name)
        return _NAMES_FROM - place

    def shown_chat(self, stored: int) -> int | str | None:
        return stored if stored > _NAMES_FROM else self.names[_NAMES_FROM - stored]


class Ledger:
    """Appends entries and reads them back; `now_us` gives microseconds since the epoch, never backwards."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._columns = _Columns(first_seq=1)

    def __len__(self) -> int:
        return len(self._columns)

    def append(
        self,
        *,
        bot_id: int | None,
        method: str,
        chat_id: int | str | None,
        text: str | None,
        outcome: Outcome,
        status: int | None,
        message_id: int | None = None,
        media: str | None = None,
        buttons: bytes | None = None,
    ) -> None:
        """Adds one entry, dated now. `text` is hashed as UTF-8 and not kept; `status` None: no answer.

        `buttons` are rows of them, in JSON.
        """
        columns = self._columns
        if media or buttons:
            columns.shown[len(columns)] = (media and sys.intern(media), buttons)
        columns.bot_id.append(bot_id or 0)
        columns.method.append(METHODS.index(method))
        columns.chat_id.append(columns.stored_chat(chat_id))
        columns.text_sha256 += sha256(text.encode()).digest() if text is not None else _NO_TEXT
        columns.at.append(self._now_us())
        columns.status.append(status or _NO_STATUS)
        columns.message_id.append(message_id or 0)
        columns.outcome.append(outcome)

    def clear(self) -> int:
        """Forgets all entries and returns how many they were. `seq` goes on counting."""
        old = self._columns
        self._columns = _Columns(first_seq=old.first_seq + len(old))
        return len(old)

    def read(self, wanted: Filter, chunk: int = 1000) -> Iterator[list[Entry]]:
        """The wanted entries, oldest first, one list per `chunk` entries looked at (lists may be empty).

        The chunks let the caller send each, and serve others, before it asks for the next.
        """
        columns = self._columns
        for rows in self._rows(columns, wanted, chunk):
            yield [_entry(columns, row) for row in rows]

    async def summarise(
        self, wanted: Filter, pause: Callable[[], Awaitable[None]], chunk: int = 10_000
    ) -> Summary:
        """Counts the wanted entries; awaits `pause` after each `chunk` of them, so that others get served."""
        columns = self._columns
        outcomes: Counter[int] = Counter()
        statuses: Counter[int] = Counter()
        delivered: Counter[int] = Counter()
        for rows in self._rows(columns, wanted, chunk):
            outcomes.update(columns.outcome[row] for row in rows)
            statuses.update(columns.status[row] for row in rows)
            delivered.update(columns.chat_id[row] for row in rows if columns.outcome[row] in REACHED)
            await pause()
        return Summary(
            total=outcomes.total(),
            by_outcome={OUTCOME_NAMES[Outcome(value)]: n for value, n in sorted(outcomes.items())},
            by_status={str(value or "none"): n for value, n in sorted(statuses.items())},
            chats_delivered=len(delivered),
            chats_delivered_more_than_once=sum(n > 1 for n in delivered.values()),
        )

    @staticmethod
    def _rows(columns: _Columns, wanted: Filter, chunk: int) -> Iterator[list[int]]:
        end = len(columns)
        start = max(0, wanted.since_seq + 1 - columns.first_seq)
        for first in range(start, end, chunk):
            rows: list[int] = list(range(first, min(first + chunk, end)))
            if wanted.bot_id is not None:
                rows = [row for row in rows if columns.bot_id[row] == wanted.bot_id]
            if wanted.chat_id is not None:
                rows = [row for row in rows if columns.chat_id[row] == wanted.chat_id]
            yield rows


def _entry(columns: _Columns, row: int) -> Entry:
    text_sha256 = bytes(columns.text_sha256[row * 32 : row * 32 + 32])
    media, buttons = columns.shown.get(row, (None, None))
    return Entry(
        seq=columns.first_seq + row,
        bot_id=columns.bot_id[row] or None,
        method=METHODS[columns.method[row]],
        chat_id=columns.shown_chat(columns.chat_id[row]),
        text_sha256=None if text_sha256 == _NO_TEXT else text_sha256.hex(),
        at=columns.at[row] / 1_000_000,
        outcome=OUTCOME_NAMES[Outcome(columns.outcome[row])],
        status=columns.status[row] or None,
        message_id=columns.message_id[row] or None,
        media=media,
        buttons=None if buttons is None else msgspec.Raw(buttons),
    )
