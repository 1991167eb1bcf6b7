"""Who got messages of late, in MongoDB: {_id: `<org>/<block>`, revision, sends (packed), until}.

Packed is MessagePack: [messages, [place, second of the epoch, message's place in the list] of each send].
A block is removed by itself after `until`, when nobody in it is near the cap any more.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

import msgspec
from pymongo import InsertOne, UpdateOne
from pymongo.errors import BulkWriteError
from service_kit.mongo.client import Database, Document
from service_kit.mongo.transactions import session_of
from service_kit.ports import Tx

from execution_service.adapters.mongo_contacts import DUPLICATE_KEY
from execution_service.application.ports_counting import CountMoved
from execution_service.domain.org_settings import FrequencyCap
from execution_service.domain.recent_sends import Block, Send, block_of

_Packed = tuple[list[str], list[tuple[int, int, int]]]
_decoder = msgspec.msgpack.Decoder(_Packed)
_encoder = msgspec.msgpack.Encoder()


class MongoRecentSends:
    """Sends of all organisations with a frequency cap in `database`."""

    def __init__(self, database: Database) -> None:
        self._blocks = database["recent_sends"]

    async def prepare(self) -> None:
        """Create the index that has old blocks removed."""
        await self._blocks.create_index("until", expireAfterSeconds=0)

    async def read(self, org: str, numbers: Iterable[int], *, tx: Tx | None = None) -> Mapping[int, Block]:
        """The blocks with these numbers, by number."""
        session = session_of(tx) if tx else None
        keys = {_key(org, number): number for number in numbers}
        found = {number: Block(number) for number in keys.values()}
        rows = self._blocks.find({"_id": {"$in": list(keys)}}, batch_size=len(keys) + 1, session=session)
        for row in await rows.to_list(None):
            found[keys[row["_id"]]] = _block(keys[row["_id"]], row)
        return found

    async def write(self, tx: Tx, org: str, blocks: Collection[Block], *, until: datetime) -> None:
        """Store each in the place of its revision, to be forgotten after `until`. Raises CountMoved."""
        changes = [_change(org, block, until) for block in blocks]
        if not changes:
            return
        try:
            answer = await self._blocks.bulk_write(changes, session=session_of(tx))
        except BulkWriteError as error:
            failures = (error.details or {}).get("writeErrors", [])
            if any(failure.get("code") == DUPLICATE_KEY for failure in failures):
                raise CountMoved(org) from error
            raise
        if answer.matched_count + answer.inserted_count != len(changes):
            raise CountMoved(org)

    async def recent(
        self, org: str, cap: FrequencyCap, ordinals: range, *, now: datetime
    ) -> Mapping[int, int]:
        """How many messages count for `cap` now, for those of `ordinals` (of the org's contacts) with any."""
        if not ordinals:
            return {}
        first, last = block_of(ordinals[0]), block_of(ordinals[-1])
        within = {"_id": {"$gte": _key(org, first), "$lte": _key(org, last)}}
        found: dict[int, int] = {}
        async for row in self._blocks.find(within, batch_size=last - first + 2):
            found.update(_block(int(row["_id"].rpartition("/")[2]), row).recent(cap, now=now))
        return {ordinal: count for ordinal, count in found.items() if ordinal in ordinals}


def _key(org: str, number: int) -> str:
    return f"{org}/{number:010d}"


def _block(number: int, row: Document) -> Block:
    messages, rows = _decoder.decode(row["sends"])
    sends = tuple(Send(place, at, messages[message]) for place, at, message in rows)
    return Block(number, row["revision"], sends)


def _change(org: str, block: Block, until: datetime) -> InsertOne[Document] | UpdateOne:
    messages = {message: place for place, message in enumerate(dict.fromkeys(s.message for s in block.sends))}
    rows = [(send.place, send.at, messages[send.message]) for send in block.sends]
    values: Document = {
        "revision": block.revision + 1,
        "sends": _encoder.encode((list(messages), rows)),
    }
    key = _key(org, block.number)
    if block.revision == 0:
        return InsertOne({"_id": key, **values, "until": until})
    return UpdateOne({"_id": key, "revision": block.revision}, {"$set": values, "$max": {"until": until}})
