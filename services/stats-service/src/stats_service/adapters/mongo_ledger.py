"""The books in MongoDB (`book_keys`), the names of the facts in them (`state_rows`), and the registry.

The version of a campaign's book is read in the transaction that changes it, and every change of a book
changes the campaign's row in `numbers`: who makes another version the one that holds conflicts with whoever
writes to the one before, and one of them repeats.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from pymongo import UpdateOne
from service_kit.clock import Clock
from service_kit.mongo.client import Database, Document, Session
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from stats_service.adapters.book_keys import DAYS, HOURS, NUMBERS, TOTALS, book_of
from stats_service.adapters.book_rows import days_of, hours_of, totals_of
from stats_service.adapters.mongo_conversions import MongoConversions
from stats_service.adapters.mongo_links import LINKS, keep_link
from stats_service.adapters.mongo_people import CROWDS, PEOPLE, Books, MongoPeople
from stats_service.adapters.mongo_registry import MongoRegistry, rows_of, write
from stats_service.adapters.state_rows import (
    EXECUTIONS,
    SHARDS,
    WITHOUT_REACHED,
    execution_in,
    execution_key,
    set_execution,
    set_shard,
    shard_in,
    shard_key,
)
from stats_service.domain.person import Person, Received
from stats_service.domain.states import BookChanges, Changes, Known, Names, PersonKey

REMEMBER: Final = timedelta(days=120)
"""Longer than Kafka keeps an event: no replay can bring back a fact whose name is forgotten."""
MINUTES_KEPT: Final = timedelta(days=3)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
BOOK_COLLECTIONS: Final = (TOTALS, DAYS, HOURS, SHARDS, EXECUTIONS, PEOPLE, CROWDS)
"""Where a book's rows are: all whose `_id` begins with the book and "/"."""


class MongoLedger:
    """The ledger of one database.

    `into`: campaign → version; then those books are written, whatever version holds, and nothing else is: no
    other campaign, no announcement, no registry. It is how a book is made anew beside the one that holds.
    """

    def __init__(self, database: Database, *, clock: Clock, into: Mapping[str, int] | None = None) -> None:
        self._database = database
        self._numbers = database[NUMBERS]
        self._shards = database[SHARDS]
        self._executions = database[EXECUTIONS]
        self._links = database[LINKS]
        self._conversions = MongoConversions(database)
        self._registry = MongoRegistry(database)
        self._people = MongoPeople(database)
        self._clock = clock
        self._into = into

    async def prepare(self) -> None:
        """Create the indexes."""
        seconds = int(REMEMBER.total_seconds())
        await self._numbers.create_index([("dirty", 1), ("announcedAt", 1)])
        await self._numbers.create_index("org")
        await self._shards.create_index("at", expireAfterSeconds=seconds)
        await self._executions.create_index("at", expireAfterSeconds=seconds)
        kept = int(MINUTES_KEPT.total_seconds())
        await self._database[HOURS].create_index("at", expireAfterSeconds=kept)
        await self._registry.prepare()

    async def known(self, tx: Tx, names: Names) -> Known:
        """What was told before of these, in the books that are to be written."""
        session = session_of(tx)
        versions = await self._versions(names.campaigns, session)
        books = _books(versions)
        shards = {shard_key(books[key.campaign], key.execution, key.shard): key for key in names.shards}
        executions = {execution_key(books[key.campaign], key.execution): key for key in names.executions}
        shard_rows = await rows_of(self._shards, shards, session, WITHOUT_REACHED)
        execution_rows = await rows_of(self._executions, executions, session)
        people, received = await self._persons(names, books, session)
        return replace(
            await self._registry.known(names, session),
            versions=versions,
            people=people,
            received=received,
            shards={shards[row["_id"]]: shard_in(row) for row in shard_rows},
            executions={executions[row["_id"]]: execution_in(row) for row in execution_rows},
        )

    async def _persons(
        self, names: Names, books: Books, session: Session
    ) -> tuple[dict[PersonKey, Person], dict[PersonKey, list[Received]]]:
        """The persons of a batch, and what had reached those that are becoming persons with it."""
        reached = await self._people.among(names.reached, books, session)
        people = await self._people.known(names.engaged | reached, books, session)
        new = names.engaged - people.keys()
        return people, await self._people.received(new, books, session)

    async def _versions(self, campaigns: Iterable[str], session: Session) -> dict[str, int]:
        if self._into is not None:
            return dict(self._into)
        # Before all else: of two that change a campaign, the one that has done nothing yet repeats.
        held = {"_id": {"$in": sorted(campaigns)}}
        await self._numbers.update_many(held, {"$inc": {"holds": 1}}, session=session)
        rows = await rows_of(self._numbers, campaigns, session, {"version": 1})
        return dict.fromkeys(campaigns, 0) | {row["_id"]: row["version"] for row in rows}

    async def apply(self, tx: Tx, known: Known, changes: Changes) -> None:
        """Store `changes` of what was `known` in `tx`, and mark the campaigns that changed."""
        session = session_of(tx)
        if self._into is None:
            await write(self._numbers, [_mark(*item) for item in changes.books.items()], session)
            await self._registry.apply(changes, known, session)
            await write(self._links, [keep_link(link) for link in changes.links], session)
            for erased in changes.erased:
                await self._conversions.forget_contact(tx, erased.org, erased.contact)
        books = _books(known.versions)
        await self._states(changes, books, session)
        await self._people.apply(changes, known, books, session)
        added = [(books[campaign], more) for campaign, more in changes.books.items()]
        totals = [row for book, more in added for row in totals_of(book, more)]
        days = [row for book, more in added for row in days_of(book, more.cells)]
        since = self._clock.now() - MINUTES_KEPT
        hours = [row for book, more in added for row in hours_of(book, more.cells, since=since)]
        for name, updates in ((TOTALS, totals), (DAYS, days), (HOURS, hours)):
            await write(self._database[name], updates, session)

    async def _states(self, changes: Changes, books: Mapping[str, str], session: Session) -> None:
        now = self._clock.now()
        shards = [
            set_shard(
                shard_key(books[key.campaign], key.execution, key.shard),
                state,
                changes.reached.get(key, {}),
                now,
            )
            for key, state in changes.shards.items()
        ]
        executions = [
            set_execution(execution_key(books[key.campaign], key.execution), state, now)
            for key, state in changes.executions.items()
        ]
        await write(self._shards, shards, session)
        await write(self._executions, executions, session)


def _books(versions: Mapping[str, int]) -> dict[str, str]:
    return {campaign: book_of(campaign, version) for campaign, version in versions.items()}


def _mark(campaign: str, changes: BookChanges) -> UpdateOne:
    made: Document = {"org": changes.org, "version": 0, "announcedAt": NEVER}
    change = {"$inc": {"revision": 1}, "$set": {"dirty": True}, "$setOnInsert": made}
    return UpdateOne({"_id": campaign}, change, upsert=True)
