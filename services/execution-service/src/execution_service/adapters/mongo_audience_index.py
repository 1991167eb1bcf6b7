"""The audience index in MongoDB.

`audience_ordinals` {_id: org, last}: the greatest ordinal given.
`audience_changes` {_id: ULID, org, ordinals[], contacts[]}: contacts that are stored but not folded yet.
`audience_chunks` {_id: `<org>/<number>`, version, rows[]}: a chunk and the rows that hold its columns.
`audience_columns` {_id: `<org>/<number>/<field>`, data}: [[value, set of positions], …] as MessagePack;
the field `ids` is the list of the contacts' ids. A column of many long values goes on in the rows
`<org>/<number>/<field>/1`, …, so that no document becomes too large.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress

import msgspec
from contracts.ids import new_ulid
from pymongo import DeleteOne, ReplaceOne, ReturnDocument
from pymongo.errors import CollectionInvalid, DuplicateKeyError
from service_kit.mongo.client import Collection, Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Transactions, Tx

from execution_service.application.ports_audience import ContactChange, StoredChunk
from execution_service.domain.audience_columns import Chunk, Column, key_of
from execution_service.domain.contact import Contact, Scalar

IDS = "ids"
ROW_BYTES = 4 * 1024 * 1024
"""About how large a row may become; MongoDB's limit is 16 MiB, a value's 4 KB."""
_encode = msgspec.msgpack.Encoder().encode
_decode_column = msgspec.msgpack.Decoder(list[tuple[bool | int | float | str, bytes]]).decode
_decode_ids = msgspec.msgpack.Decoder(list[str]).decode


async def ensure_collection(collection: Collection) -> None:
    """Create it. Transactions that each create it implicitly would collide until one has."""
    with suppress(CollectionInvalid):  # it is there
        await collection.database.create_collection(collection.name)


class MongoOrdinals:
    """Gives contacts their ordinals. Never in a transaction: two of them would wait for each other."""

    def __init__(self, database: Database) -> None:
        self._ordinals = database["audience_ordinals"]

    async def take(self, org: str, count: int) -> int:
        """The first of `count` ordinals that nobody had. What is not used then stays unused."""
        while True:
            row = await self._ordinals.find_one_and_update(
                {"_id": org}, {"$inc": {"last": count}}, return_document=ReturnDocument.AFTER
            )
            if row is not None:
                return int(row["last"]) - count + 1
            with suppress(DuplicateKeyError):  # two may come here at once, for the organisation's first
                await self._ordinals.insert_one({"_id": org, "last": 0})

    async def last(self, org: str) -> int:
        """The greatest one given; 0: none."""
        row = await self._ordinals.find_one({"_id": org})
        return int(row["last"]) if row else 0


class MongoContactChanges:
    """Changes in `database`."""

    def __init__(self, database: Database) -> None:
        self._changes = database["audience_changes"]

    async def prepare(self) -> None:
        """Create the index by which one organisation's are found."""
        await self._changes.create_index([("org", 1), ("_id", 1)])

    async def add(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        """Note that these contacts of one organisation were stored or erased, in the same transaction."""
        row = {
            "_id": new_ulid(),
            "org": contacts[0].org,
            "ordinals": [contact.ordinal for contact in contacts],
            "contacts": [contact.contact_id for contact in contacts],
        }
        await self._changes.insert_one(row, session=session_of(tx))

    async def oldest(self, contacts: int) -> list[ContactChange]:
        """The oldest, up to about so many `contacts` in all."""
        found: list[ContactChange] = []
        async for row in self._changes.find({}).sort("_id", 1).limit(1_000):
            found.append(_change(row))
            contacts -= len(row["contacts"])
            if contacts <= 0:
                break
        return found

    async def waiting(self, org: str) -> list[str]:
        """The ids of all that there are of `org` now."""
        rows = self._changes.find({"org": org}, {"_id": 1})
        return sorted([row["_id"] async for row in rows])

    async def read(self, change_ids: Sequence[str]) -> list[ContactChange]:
        """Those of them that still wait."""
        rows = await self._changes.find({"_id": {"$in": list(change_ids)}}).to_list(None)
        return [_change(row) for row in rows]

    async def remove(self, changes: Sequence[ContactChange]) -> None:
        """Forget what has been folded."""
        await self._changes.delete_many({"_id": {"$in": [change.change_id for change in changes]}})


def _change(row: Document) -> ContactChange:
    return ContactChange(row["_id"], row["org"], list(zip(row["ordinals"], row["contacts"], strict=True)))


class MongoAudienceChunks:
    """Chunks in `database`; `transactions` make a read one of one moment."""

    def __init__(self, database: Database, *, transactions: Transactions) -> None:
        self._chunks = database["audience_chunks"]
        self._columns = database["audience_columns"]
        self._ordinals = MongoOrdinals(database)
        self._transactions = transactions

    async def prepare(self) -> None:
        """Create the collections, before transactions race to."""
        for collection in (self._chunks, self._columns):
            await ensure_collection(collection)

    async def versions(self, org: str) -> dict[int, int]:
        """Every chunk of `org` by number, ascending, with its version. "0" is the character after "/"."""
        rows = self._chunks.find({"_id": {"$gt": f"{org}/", "$lt": f"{org}0"}}, {"version": 1})
        return dict(sorted([(_number(row["_id"]), row["version"]) async for row in rows]))

    async def read(
        self, org: str, numbers: Sequence[int], fields: Iterable[str], *, ids: bool = False
    ) -> list[StoredChunk]:
        """Those of the chunks that exist, ascending, with these columns and maybe the ids."""
        wanted = {*fields, IDS} if ids else set(fields)

        async def work(tx: Tx) -> list[StoredChunk]:
            return await self._read(tx, org, numbers, wanted)

        return await self._transactions.run(work)

    async def load(self, tx: Tx, org: str, number: int) -> StoredChunk:
        """All of one chunk."""
        found = await self._read(tx, org, [number], None)
        return found[0] if found else StoredChunk(number, 0, Chunk())

    async def save(self, tx: Tx, org: str, before: StoredChunk, after: Chunk) -> None:
        """Store what differs and the next version."""
        old, new = _contents(before.chunk), _contents(after)
        key, session = _key(org, before.number), session_of(tx)
        same = {name for name, content in new.items() if content is old.get(name)}
        kept = [row for row in before.rows if _field(row) in same]
        written = {
            row: data
            for name, content in new.items()
            if name not in same
            for row, data in _rows(name, content)
        }
        head = {"_id": key, "version": before.version + 1, "rows": sorted([*kept, *written])}
        await self._chunks.replace_one({"_id": key}, head, upsert=True, session=session)
        changes: list[DeleteOne | ReplaceOne[Document]] = [
            DeleteOne({"_id": f"{key}/{row}"}) for row in before.rows if row not in {*kept, *written}
        ]
        changes += [
            ReplaceOne({"_id": f"{key}/{row}"}, {"_id": f"{key}/{row}", "data": data}, upsert=True)
            for row, data in written.items()
        ]
        if changes:
            await self._columns.bulk_write(changes, ordered=False, session=session)

    async def last_ordinal(self, org: str) -> int:
        """The greatest ordinal that any contact has been given; 0: none."""
        return await self._ordinals.last(org)

    async def _read(
        self, tx: Tx, org: str, numbers: Sequence[int], wanted: set[str] | None
    ) -> list[StoredChunk]:
        session, keys = session_of(tx), [_key(org, number) for number in numbers]
        heads = await self._chunks.find({"_id": {"$in": keys}}, session=session).to_list(None)
        wanted_rows = [
            f"{head['_id']}/{row}"
            for head in heads
            for row in head["rows"]
            if wanted is None or _field(row) in wanted
        ]
        chunks = {head["_id"]: Chunk() for head in heads}
        async for row in self._columns.find({"_id": {"$in": wanted_rows}}, session=session):
            owner, number, name = row["_id"].split("/", 2)
            chunk = chunks[f"{owner}/{number}"]
            if name == IDS:
                chunk.ids = _decode_ids(row["data"])
            else:
                chunk.columns.setdefault(_field(name), {}).update(_column(row["data"]))
        stored = sorted(heads, key=lambda head: head["_id"])
        return [
            StoredChunk(_number(head["_id"]), head["version"], chunks[head["_id"]], tuple(head["rows"]))
            for head in stored
        ]


def _contents(chunk: Chunk) -> Mapping[str, Column | list[str]]:
    return {**chunk.columns, IDS: chunk.ids} if chunk.ids else chunk.columns


def _rows(name: str, content: Column | list[str]) -> Iterator[tuple[str, bytes]]:
    """The rows of a column: (name, data)."""
    if isinstance(content, list):
        yield name, _encode(content)
        return
    number, size, pairs = 0, 0, list[tuple[Scalar, bytes]]()
    for (_, value), packed in content.items():
        if size > ROW_BYTES:
            yield f"{name}/{number}" if number else name, _encode(pairs)
            number, size, pairs = number + 1, 0, []
        pairs.append((value, packed))
        size += len(packed) + (len(value) * 4 if isinstance(value, str) else 9)
    yield f"{name}/{number}" if number else name, _encode(pairs)


def _field(row: str) -> str:
    return row.partition("/")[0]


def _column(data: bytes) -> Column:
    return {key_of(value): packed for value, packed in _decode_column(data)}


def _key(org: str, number: int) -> str:
    return f"{org}/{number:08}"


def _number(key: str) -> int:
    return int(key.rpartition("/")[2])
