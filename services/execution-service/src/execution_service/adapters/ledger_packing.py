"""How the ledger is kept small: lists of contacts and outcomes as bytes, read only as a whole.

    contact ids   UTF-8, one a line, in the order of their positions (an id holds no newline)
    positions     MessagePack: [position, …]
    tried         MessagePack: [[place in the positions, tries, waits, unanswered], …] of those tried before
    places        MessagePack: [[shard, position], …] of a retry's contacts in the first run
    segments      MessagePack: [segment ids, sets (places in the ids), set of each; none where all have one]
    former        MessagePack: [rows of a tally, row of each, segments of each row]: how a retry's contacts
                  stood before
    outcomes      MessagePack: [kinds, positions, kind of each, ms after the intent, Telegram's message ids,
                  segments of each]

A kind is (status, code, variation id, sent); a window has few of them, so each is written once. Columns of
small integers take one to three bytes each. Where nobody is in a segment the segments are null, and what was
written before there were any ends before them. What the database selects by stays beside it as plain fields.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from execution_service.domain.outcomes import Candidate, Final, Status
from execution_service.domain.retrying import Former, Place

_MILLISECOND = timedelta(milliseconds=1)
_Kind = tuple[Status, str | None, str | None, bool]


_FormerRow = tuple[int, str, str | None, Status, str | None]
_Sets = Sequence[tuple[str, ...]]


class _Segments(msgspec.Struct, array_like=True, gc=False):
    """Sets of segments, and which of them each has."""

    ids: list[str]
    sets: list[list[int]]
    of: list[int]


class _Formers(msgspec.Struct, array_like=True, gc=False):
    """`segments` are those of the `rows`."""

    rows: list[_FormerRow]
    of: list[int]
    segments: _Segments | None = None


class _Outcomes(msgspec.Struct, array_like=True, gc=False):
    """The columns; all but `kinds` and `segments` are of one length."""

    kinds: list[_Kind]
    positions: list[int]
    kind: list[int]
    after_ms: list[int]
    message_ids: list[int | None]
    segments: _Segments | None = None


_encoder = msgspec.msgpack.Encoder()
_positions = msgspec.msgpack.Decoder(list[int])
_tried = msgspec.msgpack.Decoder(list[tuple[int, int, int, bool]])
_places = msgspec.msgpack.Decoder(list[tuple[int, int]])
_segments = msgspec.msgpack.Decoder(_Segments)
_former = msgspec.msgpack.Decoder(_Formers)
_outcomes = msgspec.msgpack.Decoder(_Outcomes)


def pack_contacts(contact_ids: Sequence[str]) -> bytes:
    """Contact ids, none of them empty or with a newline, to bytes."""
    return "\n".join(contact_ids).encode()


def unpack_contacts(packed: bytes) -> list[str]:
    """The contact ids that `pack_contacts` got; the index is the position."""
    return packed.decode().split("\n") if packed else []


def pack_positions(positions: Sequence[int]) -> bytes:
    """Positions to bytes."""
    return _encoder.encode(positions)


def unpack_positions(packed: bytes) -> list[int]:
    """The positions that `pack_positions` got. Raises msgspec.DecodeError."""
    return _positions.decode(packed)


def pack_tried(candidates: Sequence[Candidate]) -> bytes | None:
    """What those of `candidates` who were tried before have been through; None when there are none."""
    rows = [
        (place, item.tries, item.waits, item.unanswered)
        for place, item in enumerate(candidates)
        if item.tries or item.waits or item.unanswered
    ]
    return _encoder.encode(rows) if rows else None


def unpack_candidates(positions: bytes, tried: bytes | None, segments: bytes | None) -> list[Candidate]:
    """The candidates whose positions, tries and segments were packed. Raises msgspec.DecodeError."""
    candidates = [Candidate(position) for position in unpack_positions(positions)]
    for place, tries, waits, unanswered in _tried.decode(tried) if tried else ():
        candidates[place] = Candidate(candidates[place].position, tries, waits, unanswered)
    if segments is None:
        return candidates
    sets = _each(_segments.decode(segments), len(candidates))
    return [candidate.within(one) for candidate, one in zip(candidates, sets, strict=True)]


def pack_places(places: Sequence[Place]) -> bytes:
    """Places to bytes."""
    return _encoder.encode([(place.shard, place.position) for place in places])


def unpack_places(packed: bytes) -> list[tuple[int, int]]:
    """Shard and position of each place that `pack_places` got. Raises msgspec.DecodeError."""
    return _places.decode(packed)


def pack_former(former: Sequence[Former]) -> bytes:
    """Former outcomes to bytes; there are few different ones."""
    rows: dict[Former, int] = {}
    kind = [rows.setdefault(item, len(rows)) for item in former]
    told = [(row.minute, row.message_id, row.variation_id, row.status, row.code) for row in rows]
    return _encoder.encode(_Formers(told, kind, _columns([row.segments for row in rows])))


def unpack_former(packed: bytes) -> list[Former]:
    """The former outcomes that `pack_former` got. Raises msgspec.DecodeError."""
    told = _former.decode(packed)
    sets = _each(told.segments, len(told.rows))
    rows = [Former(*row, segments=one) for row, one in zip(told.rows, sets, strict=True)]
    return [rows[number] for number in told.of]


def pack_outcomes(finals: Sequence[Final], *, since: datetime) -> bytes:
    """Outcomes to bytes, in their order; times to the millisecond, counted from the intent's time `since`."""
    kinds: dict[_Kind, int] = {}
    kind = [
        kinds.setdefault((item.status, item.code, item.variation_id, item.sent), len(kinds))
        for item in finals
    ]
    return _encoder.encode(
        _Outcomes(
            list(kinds),
            [item.position for item in finals],
            kind,
            [(item.at - since) // _MILLISECOND for item in finals],
            [item.message_id for item in finals],
            _columns([item.segments for item in finals]),
        )
    )


def unpack_outcomes(packed: bytes, *, since: datetime) -> list[Final]:
    """The outcomes that `pack_outcomes` got with the same `since`. Raises msgspec.DecodeError."""
    columns = _outcomes.decode(packed)
    sets = _each(columns.segments, len(columns.positions))
    rows = zip(columns.positions, columns.kind, columns.after_ms, columns.message_ids, sets, strict=True)
    finals = []
    for position, kind, after, message_id, segments in rows:
        status, code, variation_id, sent = columns.kinds[kind]
        at = since + timedelta(milliseconds=after)
        finals.append(Final(position, status, at, code, variation_id, message_id, sent, segments))
    return finals


def pack_segments(sets: _Sets) -> bytes | None:
    """The segments of each to bytes; None when nobody is in any."""
    columns = _columns(sets)
    return None if columns is None else _encoder.encode(columns)


def _columns(sets: _Sets) -> _Segments | None:
    """Each segment and each set of them once; None when nobody is in any."""
    different: dict[tuple[str, ...], int] = {}
    of = [different.setdefault(one, len(different)) for one in sets]
    if not any(different):
        return None
    ids: dict[str, int] = {}
    places = [[ids.setdefault(segment, len(ids)) for segment in one] for one in different]
    return _Segments(list(ids), places, of if len(different) > 1 else [])


def _each(columns: _Segments | None, count: int) -> _Sets:
    """The segments of each of `count`, as `_columns` got them."""
    if columns is None:
        return [()] * count
    sets = [tuple([columns.ids[place] for place in one]) for one in columns.sets]
    return [sets[number] for number in columns.of] if columns.of else sets * count
