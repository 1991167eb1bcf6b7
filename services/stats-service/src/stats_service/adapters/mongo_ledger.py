"""The books in MongoDB (`book_keys`), the names of the facts in them (`state_rows`), and the registry.

The version of a campaign's book is read in the transaction that changes it, and every change of a book
changes the campaign's row in `numbers`: who makes another version the one that holds conflicts with whoever
writes to the one before, and one of them repeats.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
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
from stats_service.adapters.mongo_people import CROWDS, PEOPLE, MongoPeople
from stats_service.adapters.mongo_reached import MongoReached
from stats_service.adapters.mongo_registry import MongoRegistry, rows_of, write
from stats_service.adapters.reached_rows import REACHED
from stats_service.adapters.state_rows import (
    EXECUTIONS,
    SHARDS,
    execution_in,
    execution_key,
    set_execution,
    set_shard,
    shard_in,
    shard_key,
)
from stats_service.domain.people import Wanted
from stats_service.domain.person import Received
from stats_service.domain.states import Ahead, BookChanges, Changes, Known, Names, PersonKey, Stand

REMEMBER: Final = timedelta(days=120)
"""Longer than Kafka keeps an event: no replay can bring back a fact whose name is forgotten."""
MINUTES_KEPT: Final = timedelta(days=3)
NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)
BOOK_COLLECTIONS: Final = (TOTALS, DAYS, HOURS, SHARDS, EXECUTIONS, REACHED, PEOPLE, CROWDS)
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
        self._reached = MongoReached(database)
        self._clock = clock
        self._into = into

    async def prepare(self) -> None:
        """Create the indexes."""
        seconds = int(REMEMBER.total_seconds())
        await self._numbers.create_index([("dirty", 1), ("announcedAt", 1)])
        await self._numbers.create_index("org")
        await self._shards.create_index("at", expireAfterSeconds=seconds)
        await self._executions.create_index("at", expireAfterSeconds=seconds)
        await self._reached.prepare(kept_seconds=seconds)
        kept = int(MINUTES_KEPT.total_seconds())
        await self._database[HOURS].create_index("at", expireAfterSeconds=kept)
        await self._registry.prepare()

    async def look_ahead(self, engaged: Collection[PersonKey]) -> Ahead:
        """What had reached those of `engaged` that are no persons."""
        if not engaged:
            return Ahead()
        # Stands first: what is told while this looks has a greater revision.
        stands = await self._stands({key.campaign for key in engaged})
        books = _books(stands)
        new = set(engaged) - (await self._people.known(engaged, books)).keys()
        found: dict[PersonKey, list[Received]] = {}
        for campaign, contacts in _by_campaign(new).items():
            received = await self._reached.find(Wanted(contacts), books[campaign])
            found |= {PersonKey(campaign, contact): received.get(contact, []) for contact in contacts}
        return Ahead(stands, found)

    async def known(self, tx: Tx, names: Names, ahead: Ahead) -> Known:
        """What was told before of these, in the books that are to be written."""
        session = session_of(tx)
        stands = await self._stands(names.campaigns, session)
        books = _books(stands)
        shards = {shard_key(books[key.campaign], key.execution, key.shard): key for key in names.shards}
        executions = {execution_key(books[key.campaign], key.execution): key for key in names.executions}
        shard_rows = await rows_of(self._shards, shards, session)
        execution_rows = await rows_of(self._executions, executions, session)
        reached = await self._people.among(names.reached, books, session)
        people = await self._people.known(names.engaged | reached, books, session)
        return replace(
            await self._registry.known(names, session),
            versions={campaign: stand.version for campaign, stand in stands.items()},
            revisions={campaign: stand.revision for campaign, stand in stands.items()},
            people=people,
            received=await self._received(names.engaged - people.keys(), ahead, stands, session),
            shards={shards[row["_id"]]: shard_in(row) for row in shard_rows},
            executions={executions[row["_id"]]: execution_in(row) for row in execution_rows},
        )

    async def _received(
        self, new: set[PersonKey], ahead: Ahead, stands: Mapping[str, Stand], session: Session
    ) -> dict[PersonKey, list[Received]]:
        """What had reached those who become persons: as looked up ahead, and what was told since."""
        books = _books(stands)
        found: dict[PersonKey, list[Received]] = {}
        for campaign, contacts in _by_campaign(new).items():
            keys = {contact: PersonKey(campaign, contact) for contact in contacts}
            then, now = ahead.stands.get(campaign), stands[campaign]
            if then is None or then.version != now.version or not ahead.received.keys() >= {*keys.values()}:
                # Another book holds since: rare, and a repetition looks ahead in that one.
                since: dict[bytes, list[Received]] = await self._reached.find(
                    Wanted(contacts), books[campaign], session=session
                )
            elif then.revision != now.revision:
                since = await self._reached.find(
                    Wanted(contacts), books[campaign], since=then.revision, session=session
                )
            else:
                since = {}
            for contact, key in keys.items():
                found[key] = [*ahead.received.get(key, ()), *since.get(contact, ())]
        return found

    async def _stands(self, campaigns: Iterable[str], session: Session | None = None) -> dict[str, Stand]:
        if self._into is not None:
            # Nobody else writes to these books.
            return {campaign: Stand(version, 0) for campaign, version in self._into.items()}
        if session is not None:
            # Before all else: of two that change a campaign, the one that has done nothing yet repeats.
            held = {"_id": {"$in": sorted(campaigns)}}
            await self._numbers.update_many(held, {"$inc": {"holds": 1}}, session=session)
        rows = await rows_of(self._numbers, campaigns, session, {"version": 1, "revision": 1})
        told = {row["_id"]: Stand(row["version"], row["revision"]) for row in rows}
        return dict.fromkeys(campaigns, Stand(0, 0)) | told

    async def apply(self, tx: Tx, known: Known, changes: Changes) -> None:
        """Store `changes` of what was `known` in `tx`, and mark the campaigns that changed."""
        session = session_of(tx)
        if self._into is None:
            await write(self._numbers, [_mark(*item) for item in changes.books.items()], session)
            await self._registry.apply(changes, known, session)
            await write(self._links, [keep_link(link) for link in changes.links], session)
            for erased in changes.erased:
                await self._conversions.forget_contact(tx, erased.org, erased.contact)
        books = {campaign: book_of(campaign, version) for campaign, version in known.versions.items()}
        await self._states(changes, known, books, session)
        await self._people.apply(changes, known, books, session)
        added = [(books[campaign], more) for campaign, more in changes.books.items()]
        totals = [row for book, more in added for row in totals_of(book, more)]
        days = [row for book, more in added for row in days_of(book, more.cells)]
        since = self._clock.now() - MINUTES_KEPT
        hours = [row for book, more in added for row in hours_of(book, more.cells, since=since)]
        for name, updates in ((TOTALS, totals), (DAYS, days), (HOURS, hours)):
            await write(self._database[name], updates, session)

    async def _states(
        self, changes: Changes, known: Known, books: Mapping[str, str], session: Session
    ) -> None:
        now = self._clock.now()
        keys = {key: shard_key(books[key.campaign], key.execution, key.shard) for key in changes.shards}
        shards = [set_shard(keys[key], state, now) for key, state in changes.shards.items()]
        executions = [
            set_execution(execution_key(books[key.campaign], key.execution), state, now)
            for key, state in changes.executions.items()
        ]
        reached = {
            (keys[key], known.revisions[key.campaign] + 1): groups for key, groups in changes.reached.items()
        }
        await write(self._shards, shards, session)
        await write(self._executions, executions, session)
        await self._reached.add(reached, now, session)


def _books(stands: Mapping[str, Stand]) -> dict[str, str]:
    return {campaign: book_of(campaign, stand.version) for campaign, stand in stands.items()}


def _by_campaign(keys: Iterable[PersonKey]) -> dict[str, list[bytes]]:
    contacts: dict[str, list[bytes]] = defaultdict(list)
    for key in keys:
        contacts[key.campaign].append(key.contact)
    return contacts


def _mark(campaign: str, changes: BookChanges) -> UpdateOne:
    made: Document = {"org": changes.org, "version": 0, "announcedAt": NEVER}
    change = {"$inc": {"revision": 1}, "$set": {"dirty": True}, "$setOnInsert": made}
    return UpdateOne({"_id": campaign}, change, upsert=True)
