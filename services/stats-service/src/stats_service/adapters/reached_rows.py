"""Whom a message reached, as rows of a book: small, and read without a step for each window.

    reached  {_id: <book>/<execution>/<shard>/<message>, message, variations [id…], segments [id…],
              contacts [binary…], kinds [binary…], revision, at}

Every fold appends one item to `contacts`, references one after the other (`domain.people`), and one to
`kinds`: a byte that says how many bytes the segments take, then for each of these contacts the minute (4
bytes), the place of the variation in `variations` (2), and the segments as bits by their places in
`segments`. So ids are there once, however many windows, variations and sets of segments there are: 24 bytes
for a contact in a window of seven, and at most some 100 KB for a shard of 2,000 of 100 segments.

`revision` is that of the campaign's numbers (`book_keys`) which the last fold into the row has made. A row
is forgotten some time after `at`, that fold.
"""

import struct
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import accumulate
from typing import Final
from urllib.parse import quote

from pymongo import UpdateOne
from service_kit.mongo.client import Document

from stats_service.domain.people import REFERENCE_BYTES, Wanted
from stats_service.domain.person import Received

REACHED: Final = "reached"
WITHOUT_CONTACTS: Final = {"contacts": 0, "kinds": 0}
_KIND: Final = struct.Struct("<IH")
Groups = Mapping[Received, bytes | bytearray]
"""What was received → the references of those whom it reached."""


def reached_key(shard_key: str, message: str) -> str:
    """Of a message in a shard."""
    return f"{shard_key}/{quote(message, safe='')}"


def add_reached(key: str, row: Document, groups: Groups, revision: int, now: datetime) -> UpdateOne:
    """The write that adds `groups`, all of one message, to the row that is `row` now ({}: none)."""
    variations, segments = list(row.get("variations", ())), list(row.get("segments", ()))
    contacts, kinds = packed(groups, variations, segments)
    fields: Document = {
        "message": next(iter(groups)).message,
        "variations": variations,
        "segments": segments,
        "revision": revision,
        "at": now,
    }
    change: Document = {"$set": fields, "$push": {"contacts": contacts, "kinds": kinds}}
    return UpdateOne({"_id": key}, change, upsert=True)


def packed(groups: Groups, variations: list[str], segments: list[str]) -> tuple[bytes, bytes]:
    """The items for `contacts` and `kinds`; ids that are not in the lists yet are added there."""
    variation_at, segment_at = _places(variations), _places(segments)
    for received in groups:
        _add(variations, variation_at, received.variation)
        for segment in received.segments:
            _add(segments, segment_at, segment)
    width = (len(segments) + 7) // 8
    kinds = bytearray([width])
    for received, contacts in groups.items():
        bits = sum(1 << place for place in {segment_at[segment] for segment in received.segments})
        kind = _KIND.pack(received.minute, variation_at[received.variation])
        kinds += (kind + bits.to_bytes(width, "little")) * (len(contacts) // REFERENCE_BYTES)
    return b"".join(groups.values()), bytes(kinds)


def reached_in(row: Document, wanted: Wanted) -> Iterator[tuple[bytes, Received]]:
    """The wanted contacts in a row, and what each received."""
    items: list[bytes] = row["contacts"]
    found = wanted.places(b"".join(items))
    if not found:
        return
    item, ends = 0, list(accumulate(len(contacts) // REFERENCE_BYTES for contacts in items))
    for place, contact in found:
        while place >= ends[item]:
            item += 1
        kinds: bytes = row["kinds"][item]
        start = ends[item] - len(items[item]) // REFERENCE_BYTES
        yield contact, _received(row, kinds, place - start)


def _received(row: Document, kinds: bytes, place: int) -> Received:
    width = kinds[0]
    at = 1 + place * (_KIND.size + width)
    minute, variation = _KIND.unpack_from(kinds, at)
    bits = int.from_bytes(kinds[at + _KIND.size : at + _KIND.size + width], "little")
    segments = tuple(segment for n, segment in enumerate(row["segments"][: width * 8]) if bits >> n & 1)
    return Received(minute, row["message"], row["variations"][variation], segments)


def _places(ids: list[str]) -> dict[str, int]:
    return {name: place for place, name in enumerate(ids)}


def _add(ids: list[str], places: dict[str, int], name: str) -> None:
    if name not in places:
        places[name] = len(ids)
        ids.append(name)
