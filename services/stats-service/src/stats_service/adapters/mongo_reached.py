"""Whom messages reached, in MongoDB (`reached_rows`): written by folds, and passed over to find some of them.

A pass reads all rows of a book, so it is made before the transaction that needs it; there, only rows that a
later revision has written are read again.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from service_kit.mongo.client import Database, Document, Session

from stats_service.adapters.book_keys import AFTER
from stats_service.adapters.mongo_registry import rows_of, write
from stats_service.adapters.reached_rows import (
    REACHED,
    WITHOUT_CONTACTS,
    Groups,
    add_reached,
    reached_in,
    reached_key,
)
from stats_service.domain.people import Wanted
from stats_service.domain.person import Received

ROWS_AT_ONCE = 50
"""A few MB; the event loop has its turn after each."""


class MongoReached:
    """What is known of one database."""

    def __init__(self, database: Database) -> None:
        self._rows = database[REACHED]

    async def prepare(self, *, kept_seconds: int) -> None:
        """Create the index that forgets."""
        await self._rows.create_index("at", expireAfterSeconds=kept_seconds)

    async def add(self, reached: Mapping[tuple[str, int], Groups], now: datetime, session: Session) -> None:
        """Add whom messages reached, by the key of the shard's state and the revision that tells of them."""
        groups: dict[str, dict[Received, bytes | bytearray]] = defaultdict(dict)
        revisions: dict[str, int] = {}
        for (shard, revision), of_shard in reached.items():
            for received, contacts in of_shard.items():
                key = reached_key(shard, received.message)
                groups[key][received] = contacts
                revisions[key] = revision
        rows = {row["_id"]: row for row in await rows_of(self._rows, groups, session, WITHOUT_CONTACTS)}
        updates = [add_reached(key, rows.get(key, {}), of, revisions[key], now) for key, of in groups.items()]
        await write(self._rows, updates, session)

    async def find(
        self, wanted: Wanted, book: str, *, since: int | None = None, session: Session | None = None
    ) -> dict[bytes, list[Received]]:
        """What reached the wanted contacts of a book, as told after the revision `since` (None: ever)."""
        chosen: Document = {"_id": {"$gte": f"{book}/", "$lt": f"{book}{AFTER}"}}
        if since is not None:
            chosen["revision"] = {"$gt": since}
        fields = {"revision": 0, "at": 0}
        found: dict[bytes, list[Received]] = defaultdict(list)
        rows = self._rows.find(chosen, fields, session=session, batch_size=ROWS_AT_ONCE)
        while some := await rows.to_list(ROWS_AT_ONCE):
            for row in some:
                for contact, received in reached_in(row, wanted):
                    found[contact].append(received)
            await asyncio.sleep(0)
        return found
