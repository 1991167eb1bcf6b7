"""Versions of a campaign's book in MongoDB: found, compared, swapped and removed."""

from collections.abc import AsyncIterator, Iterator
from functools import partial
from typing import Final, NamedTuple, cast
from urllib.parse import unquote

from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Transactions, Tx

from stats_service.adapters.book_keys import AFTER, NUMBERS, TOTALS, book_of, kind_range, line_of_total
from stats_service.adapters.mongo_ledger import BOOK_COLLECTIONS, NEVER
from stats_service.adapters.mongo_people import PEOPLE
from stats_service.adapters.mongo_rebuilds import REBUILDS, Maker
from stats_service.adapters.mongo_registry import CAMPAIGNS
from stats_service.adapters.state_rows import EXECUTIONS, SHARDS
from stats_service.application.ports_rebuild import Holding, Names, Superseded, Totals
from stats_service.domain.dimensions import Kind, Line
from stats_service.domain.fact_names import (
    FactName,
    completion_name,
    deed_name,
    end_name,
    planning_name,
    window_name,
)
from stats_service.domain.facts import End

PIECE: Final = 500
PAST_DIGITS: Final = ":"
"""The character behind "9": `<campaign>~:` ends the range of all versions of a campaign's book."""


class _Names(NamedTuple):
    """Rows of one collection, by what comes behind the book in their keys."""

    collection: str
    rows: dict[str, Document]


class MongoBooks:
    """The books of one database."""

    def __init__(self, database: Database, transactions: Transactions, maker: Maker) -> None:
        self._database = database
        self._transactions = transactions
        self._maker = maker
        self._numbers = database[NUMBERS]

    async def begin(self, campaign: str) -> Holding | None:
        """Count the campaign again: nobody else does from now on. None for one that nobody has told of.

        In one transaction: what holds is swapped by who makes it alone, so it stays as long as we are that.
        """
        told = await self._database[CAMPAIGNS].find_one({"_id": campaign}, {"org": 1})
        if told is None:
            return None
        await self._maker.prepare()

        async def work(tx: Tx) -> int:
            await self._maker.begin(tx)
            return await self._version(tx, campaign)

        return Holding(told["org"], await self._transactions.run(work))

    async def _version(self, tx: Tx, campaign: str) -> int:
        """Which holds."""
        row = await self._numbers.find_one({"_id": campaign}, {"version": 1}, session=session_of(tx))
        return int(row["version"]) if row else 0

    async def clear_others(self, campaign: str) -> None:
        """Remove all of the campaign's books but the one that holds, and how far those were. See `Books`."""
        for name in (REBUILDS, *BOOK_COLLECTIONS):
            while await self._transactions.run(partial(self._clear_piece, name=name, campaign=campaign)):
                pass

    async def _clear_piece(self, tx: Tx, *, name: str, campaign: str) -> bool:
        """Remove some rows, as a book may be large; whether there were any.

        In a transaction of whoever makes the book alone, that sees for itself which one holds: nobody who was
        held up removes what somebody else has made. And who died may have left one open, that holds some of
        the rows: this waits for it.
        """
        await self._maker.alone(tx)
        holds = book_of(campaign, await self._version(tx, campaign))
        every = holds.rpartition("~")[0] + "~"
        ranges = [(f"{every}0", f"{holds}/"), (f"{holds}{AFTER}", f"{every}{PAST_DIGITS}")]
        rows, session = self._database[name], session_of(tx)
        for start, stop in [(f"{every}0", f"{every}{PAST_DIGITS}")] if name == REBUILDS else ranges:
            found = rows.find({"_id": {"$gte": start, "$lt": stop}}, {"_id": 1}, session=session).limit(PIECE)
            if ids := [row["_id"] for row in await found.to_list(None)]:
                await rows.delete_many({"_id": {"$in": ids}}, session=session)
                return True
        return False

    async def names(self, campaign: str, version: int) -> AsyncIterator[Names]:
        """The names of all facts in a book, in handy pieces."""
        book = book_of(campaign, version)
        for name in FACTS:
            rows: dict[str, Document] = {}
            inside = {"_id": {"$gte": f"{book}/", "$lt": f"{book}{AFTER}"}}
            async for row in self._database[name].find(inside):
                rows[row["_id"].removeprefix(f"{book}/")] = row
                if len(rows) == PIECE:
                    yield _sealed(name, rows)
                    rows = {}
            if rows:
                yield _sealed(name, rows)

    async def missing(self, names: Names, campaign: str, version: int) -> set[FactName]:
        """Those of `names` that are not in the book of `version`."""
        name, wanted = cast(_Names, names)
        book = book_of(campaign, version)
        ids = [f"{book}/{rest}" for rest in wanted]
        rows = self._database[name].find({"_id": {"$in": ids}})
        found = {row["_id"].removeprefix(f"{book}/"): row for row in await rows.to_list(None)}
        return {
            missing for rest, row in wanted.items() for missing in FACTS[name](rest, row, found.get(rest, {}))
        }

    async def totals(self, tx: Tx, campaign: str, version: int) -> Totals:
        """Of all lines."""
        book = book_of(campaign, version)
        found: dict[tuple[Line, str], int] = {}
        for kind in Kind:
            start, stop = kind_range(book, kind)
            rows = self._database[TOTALS].find({"_id": {"$gte": start, "$lt": stop}}, session=session_of(tx))
            for row in await rows.to_list(None):
                line = line_of_total(row.pop("_id"))
                found |= {(line, metric): count for metric, count in row.items() if count}
        return found

    async def swap(self, tx: Tx, campaign: str, holding: Holding) -> None:
        """Let the next version hold, from this transaction on. See `Books`."""
        await self._maker.alone(tx)
        session, version = session_of(tx), holding.version
        change = {"$inc": {"version": 1, "revision": 1}, "$set": {"dirty": True}}
        row = await self._numbers.find_one({"_id": campaign}, session=session)
        if row is None and version == 0:
            fresh = {"org": holding.org, "version": 1, "revision": 1, "dirty": True, "announcedAt": NEVER}
            await self._numbers.insert_one({"_id": campaign} | fresh, session=session)
        elif row is None or row["version"] != version:
            raise Superseded
        else:
            await self._numbers.update_one({"_id": campaign}, change, session=session)


def _sealed(name: str, rows: dict[str, Document]) -> Names:
    return cast(Names, _Names(name, rows))


def _windows_missing(rest: str, old: Document, new: Document) -> Iterator[FactName]:
    """Windows of a shard, and its completion."""
    quoted, _, number = rest.partition("/")
    execution, shard = unquote(quoted), int(number)
    seen = [range(first, last + 1) for first, last in new.get("windows", [])]
    for first, last in old["windows"]:
        for window in range(first, last + 1):
            if all(window not in part for part in seen):
                yield window_name(execution, shard, window)
    if old["completed"] and not new.get("completed", False):
        yield completion_name(execution, shard)


def _execution_missing(rest: str, old: Document, new: Document) -> Iterator[FactName]:
    """The planning of an execution, and its end; a later end is as good."""
    execution, before, after = unquote(rest), _end(old), _end(new)
    if old["planned"] and not new.get("planned", False):
        yield planning_name(execution)
    if before is not None and (after is None or after < before):
        yield end_name(execution, before)


def _end(row: Document) -> End | None:
    end = row.get("end")
    return end and End(end["completed"], end["at"], end["failed"])


def _deeds_missing(rest: str, old: Document, new: Document) -> Iterator[FactName]:
    """Clicks and conversions of a person, by the references that are their names."""
    there = {done[1] for kind in ("clicks", "conversions") for done in new.get(kind, ())}
    for kind in ("clicks", "conversions"):
        yield from (deed_name(bytes.fromhex(rest), done[1]) for done in old[kind] if done[1] not in there)


FACTS: Final = {
    SHARDS: _windows_missing,
    EXECUTIONS: _execution_missing,
    PEOPLE: _deeds_missing,
}
"""Where names of facts are, and how to find those of a row, whose key ends so, that are not in another."""
