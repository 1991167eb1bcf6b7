"""The ledger, read at size.

Mental model: an execution's shards are numbered from 0, a shard is some hundred contacts, and its document
says how many of them have which outcome. So a reader walks the numbers, asks for a hundred shards at a time
by their ids, leaves out those that cannot have what it looks for, and reads the windows of one shard at
once: every query is bounded at both ends, however large the execution is.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from service_kit.mongo.client import Database, Document

from execution_service.adapters.ledger_packing import unpack_contacts, unpack_outcomes, unpack_places
from execution_service.application.ports_ledger_pages import LedgerPage, LedgerRow, Standpoint
from execution_service.domain.outcomes import Final, Status
from execution_service.domain.retrying import Place

_CHUNK = 100
_OUTLINE = {"no": 1, "steps": 1, "window": 1, "counts": 1, "errors": 1}
_UNSUCCESSFUL: tuple[Status, ...] = ("failed", "skipped", "unknown")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which rows."""

    status: Status | None
    code: str | None

    @property
    def nothing(self) -> bool:
        """A success has no error code."""
        return self.status == "successful" and self.code is not None

    def possible(self, shard: Document) -> bool:
        """Whether the shard may have such rows; its counts are contacts, not rows of earlier messages."""
        if self.code is not None and not shard["errors"].get(self.code):
            return False
        if self.status is None or (self.status == "successful" and shard["steps"] > 1):
            return bool(shard["window"] > 0)
        return bool(shard["counts"].get(self.status))

    def among(self, window: Document) -> bool:
        """Whether the recorded window has such rows."""
        return (self.status is None or self.status in window["statuses"]) and (
            self.code is None or self.code in window["codes"]
        )

    def takes(self, outcome: Final) -> bool:
        """Whether it is such a row."""
        return self.status in (None, outcome.status) and self.code in (None, outcome.code)


class MongoLedgerPages:
    """Reads windows, shards and their contacts in `database`."""

    def __init__(self, database: Database) -> None:
        self._windows = database["windows"]
        self._shards = database["shards"]
        self._contacts = database["shard_contacts"]

    async def page(
        self, execution_id: str, *, status: Status | None, code: str | None, limit: int, cursor: str | None
    ) -> LedgerPage:
        """Rows by shard, in the order of sending. Raises ValueError on a cursor that is not ours."""
        first, number, index = _read_cursor(cursor)
        wanted, rows = _Wanted(status, code), list[LedgerRow]()
        if wanted.nothing:
            return LedgerPage(rows, None)
        async for shard in self._possible(execution_id, wanted, first=first):
            people: Sequence[str] | None = None
            begin = (number, index) if shard == first else (0, 0)
            async for window in self._recorded(execution_id, shard, wanted, since=begin[0]):
                outcomes = unpack_outcomes(window["outcomes"], since=window["intentAt"])
                skip = begin[1] if window["window"] == begin[0] else 0
                for place, outcome in enumerate(outcomes[skip:], skip):
                    if not wanted.takes(outcome):
                        continue
                    if len(rows) == limit:
                        return LedgerPage(rows, f"{shard}.{window['window']}.{place}")
                    if people is None:
                        people = unpack_contacts((await self._people(execution_id, shard))["contacts"])
                    rows.append(_row(outcome, people, window))
        return LedgerPage(rows, None)

    async def shard(self, execution_id: str, number: int) -> Sequence[Standpoint]:
        """The shard's contacts that have an outcome, by position."""
        found = await self._people(execution_id, number)
        people = unpack_contacts(found["contacts"])
        places = unpack_places(found["places"]) if "places" in found else None
        latest: dict[int, Standpoint] = {}
        async for window in self._recorded(execution_id, number, _Wanted(None, None), since=0):
            for outcome in unpack_outcomes(window["outcomes"], since=window["intentAt"]):
                at = outcome.position
                place = Place(*places[at]) if places else Place(number, at)
                latest[at] = Standpoint(people[at], place, window["step"], window["message"], outcome)
        return [latest[position] for position in sorted(latest)]

    async def unsuccessful(self, execution_id: str, numbers: range) -> Sequence[int]:
        """Those of the shards `numbers` in which somebody's outcome is no success, ascending."""
        return [
            row["no"]
            for row in await self._outlines(execution_id, numbers)
            if any(row["counts"].get(status) for status in _UNSUCCESSFUL)
        ]

    async def spans(self, execution_id: str) -> Sequence[tuple[int, int, int]]:
        """Of a retry's shards: number, first and last shard of the first run that it has contacts of."""
        rows = self._shards.find({"executionId": execution_id}, {"no": 1, "span": 1})
        return sorted([(row["no"], *row["span"]) async for row in rows])

    async def _possible(self, execution_id: str, wanted: _Wanted, *, first: int) -> AsyncIterator[int]:
        """The numbers of shards that may have such rows, from `first` on."""
        while True:
            numbers = range(first, first + _CHUNK)
            outlines = await self._outlines(execution_id, numbers)
            for row in outlines:
                if wanted.possible(row):
                    yield row["no"]
            if len(outlines) < len(numbers):
                return
            first += _CHUNK

    async def _outlines(self, execution_id: str, numbers: range) -> list[Document]:
        ids = [f"{execution_id}:{number}" for number in numbers]
        rows = await self._shards.find({"_id": {"$in": ids}}, _OUTLINE).to_list(None)
        return sorted(rows, key=lambda row: row["no"])

    async def _recorded(
        self, execution_id: str, shard: int, wanted: _Wanted, *, since: int
    ) -> AsyncIterator[Document]:
        """The shard's recorded windows from number `since` on that have such rows, in their order.

        Asked for by what the index has and nothing else, and sifted here: of a shard there are few.
        """
        found: Document = {"executionId": execution_id, "shard": shard, "window": {"$gte": since}}
        async for window in self._windows.find(found).sort([("shard", 1), ("window", 1)]):
            if window["state"] == "recorded" and wanted.among(window):
                yield window

    async def _people(self, execution_id: str, number: int) -> Document:
        found = await self._contacts.find_one({"_id": f"{execution_id}:{number}"})
        return found or {"contacts": b""}


def _row(outcome: Final, people: Sequence[str], window: Document) -> LedgerRow:
    return LedgerRow(
        people[outcome.position],
        window["step"],
        window["message"],
        outcome.status,
        outcome.code,
        outcome.variation_id,
        outcome.message_id,
        outcome.at,
    )


def _read_cursor(cursor: str | None) -> tuple[int, int, int]:
    if cursor is None:
        return 0, 0, 0
    shard, number, index = (int(part) for part in cursor.split("."))
    if min(shard, number, index) < 0 or max(shard, number, index) > 2**31:
        raise ValueError(cursor)
    return shard, number, index
