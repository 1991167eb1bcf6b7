"""Versions of a campaign's book in MongoDB: found, compared, swapped and removed."""

from collections.abc import AsyncIterator
from typing import Final, NamedTuple, cast

from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Transactions, Tx

from stats_service.adapters.book_keys import AFTER, NUMBERS, TOTALS, book_of, kind_range, line_of_total
from stats_service.adapters.mongo_ledger import BOOK_COLLECTIONS, NEVER
from stats_service.adapters.mongo_people import PEOPLE
from stats_service.adapters.mongo_rebuilds import REBUILDS
from stats_service.adapters.mongo_registry import CAMPAIGNS
from stats_service.adapters.state_rows import EXECUTIONS, SHARDS, WITHOUT_REACHED
from stats_service.application.ports_rebuild import Holding, Names, Superseded, Totals
from stats_service.domain.dimensions import Kind, Line

PIECE: Final = 500
PAST_DIGITS: Final = ":"
"""The character behind "9": `<campaign>~:` ends the range of all versions of a campaign's book."""


class _Names(NamedTuple):
    """Rows of one collection, by what comes behind the book in their keys."""

    collection: str
    rows: dict[str, Document]


class MongoBooks:
    """The books of one database."""

    def __init__(self, database: Database, transactions: Transactions) -> None:
        self._database = database
        self._transactions = transactions
        self._numbers = database[NUMBERS]

    async def holding(self, campaign: str) -> Holding | None:
        """None for a campaign that nobody has told of."""
        told = await self._database[CAMPAIGNS].find_one({"_id": campaign}, {"org": 1})
        if told is None:
            return None
        row = await self._numbers.find_one({"_id": campaign}, {"version": 1})
        return Holding(told["org"], row["version"] if row else 0)

    async def clear_others(self, campaign: str, version: int) -> None:
        """Remove all of the campaign's books but `version`, and how far those were that were being made.

        Positions first: who still folds into such a book finds none, so nothing comes behind the removal.
        """
        book = book_of(campaign, version)
        every = book.removesuffix(str(version))
        for name in (REBUILDS, *BOOK_COLLECTIONS):
            await self._remove(name, every, f"{book}/")
            await self._remove(name, f"{book}{AFTER}", f"{every}{PAST_DIGITS}")
        await self._remove(REBUILDS, f"{book}/", f"{book}{AFTER}")

    async def _remove(self, name: str, start: str, stop: str) -> None:
        """What has a key from `start` (inclusive) to `stop` (exclusive), in pieces: a book may be large.

        In transactions: who died may have left one open, that holds some of the rows, and this waits for it.
        """
        rows = self._database[name]
        inside = {"_id": {"$gte": start, "$lt": stop}}

        async def piece(tx: Tx) -> bool:
            found = rows.find(inside, {"_id": 1}, session=session_of(tx)).limit(PIECE)
            ids = [row["_id"] for row in await found.to_list(None)]
            if ids:
                await rows.delete_many({"_id": {"$in": ids}}, session=session_of(tx))
            return bool(ids)

        while await self._transactions.run(piece):
            pass

    async def names(self, campaign: str, version: int) -> AsyncIterator[Names]:
        """The names of all facts in a book, in handy pieces."""
        book = book_of(campaign, version)
        for name in FACTS:
            rows: dict[str, Document] = {}
            inside = {"_id": {"$gte": f"{book}/", "$lt": f"{book}{AFTER}"}}
            async for row in self._database[name].find(inside, WITHOUT_REACHED):
                rows[row["_id"].removeprefix(f"{book}/")] = row
                if len(rows) == PIECE:
                    yield _sealed(name, rows)
                    rows = {}
            if rows:
                yield _sealed(name, rows)

    async def missing(self, names: Names, campaign: str, version: int) -> int:
        """How many of `names` are not in the book of `version`."""
        name, wanted = cast(_Names, names)
        book = book_of(campaign, version)
        ids = [f"{book}/{rest}" for rest in wanted]
        rows = self._database[name].find({"_id": {"$in": ids}}, WITHOUT_REACHED)
        found = {row["_id"].removeprefix(f"{book}/"): row for row in await rows.to_list(None)}
        return sum(FACTS[name](row, found.get(rest, {})) for rest, row in wanted.items())

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
        """Let the next version hold, from this transaction on. Raises Superseded when another one holds."""
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


def _windows_missing(old: Document, new: Document) -> int:
    """Windows of a shard, and its completion."""
    seen = [range(first, last + 1) for first, last in new.get("windows", [])]
    windows = sum(
        all(window not in part for part in seen)
        for first, last in old["windows"]
        for window in range(first, last + 1)
    )
    return windows + (old["completed"] and not new.get("completed", False))


def _execution_missing(old: Document, new: Document) -> int:
    """The planning of an execution, and its end; a later end is as good."""
    before, after = old["end"], new.get("end")
    ended = before is not None and (after is None or _order(after) < _order(before))
    return (old["planned"] and not new.get("planned", False)) + ended


def _order(end: Document) -> tuple[bool, int, int]:
    return end["completed"], end["at"], end["failed"]


def _engagements_missing(old: Document, new: Document) -> int:
    """Clicks and conversions of a person, by the references that are their names."""
    there = {done[1] for kind in ("clicks", "conversions") for done in new.get(kind, ())}
    return sum(done[1] not in there for kind in ("clicks", "conversions") for done in old[kind])


FACTS: Final = {
    SHARDS: _windows_missing,
    EXECUTIONS: _execution_missing,
    PEOPLE: _engagements_missing,
}
"""Where names of facts are, and how to count those of a row that are not in another one."""
