"""An audience, column by column: which contacts have which value.

Contacts are numbered (`Contact.ordinal`) and lie in chunks of CHUNK_SIZE. A chunk keeps, for every field, a
column: value → the set of positions that have it. A rule is then a few unions and intersections of sets,
and counting is counting bits: 4,096 contacts take some ten microseconds, whoever they are.
A set is stored as bytes: of few positions two bytes each, of many one bit for each position of the chunk;
its length tells which.
Values are keyed with their kind, so true, 1 and "1" stay apart, and 1 and 1.0 are one, as in JSON.
"""

import struct
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from execution_service.domain.audience import AnyOf, AudienceRule, Condition, facts, kind_of
from execution_service.domain.contact import Contact, Scalar
from execution_service.domain.suppression import SUPPRESSIONS, suppression

CHUNK_SIZE = 4096
_DENSE_BYTES = CHUNK_SIZE // 8
_SPARSE_MOST = 63
"""Bits are larger than so many numbers, but read some ten times faster than more of them."""

Key = tuple[str, Scalar]
Column = dict[Key, bytes]
"""(kind, value) → the packed set of positions. No set is empty."""
Counts = tuple[int, ...]
"""One chunk's numbers for one rule, in `Tally`'s order."""

TESTER, SUPPRESSION = "tester", "suppression"
COUNTED_FIELDS = frozenset({TESTER, SUPPRESSION})
"""What counting looks at beside the rule's own fields."""


@dataclass(slots=True)
class Chunk:
    """`ids`: the contact at each position, "" for nobody (may be shorter than the chunk); its columns."""

    ids: list[str] = field(default_factory=list)
    columns: dict[str, Column] = field(default_factory=dict)


def pack(positions: int) -> bytes:
    """A set, given as bits, as it is stored."""
    if positions.bit_count() > _SPARSE_MOST:
        return positions.to_bytes(_DENSE_BYTES, "little")
    members = positions_of(positions)
    return struct.pack(f"<{len(members)}H", *members)


def unpack(packed: bytes) -> int:
    """A stored set as bits."""
    if len(packed) == _DENSE_BYTES:
        return int.from_bytes(packed, "little")
    return _bits(_places(packed))


def positions_of(positions: int) -> list[int]:
    """The members of a set, ascending."""
    if positions & (positions - 1) == 0:
        return [positions.bit_length() - 1] if positions else []
    return [place for place, bit in enumerate(bin(positions)[:1:-1]) if bit == "1"]


def key_of(value: Scalar) -> Key:
    """How a column finds `value`."""
    return kind_of(value), value


# --- asking


def select(columns: Mapping[str, Column], rule: AudienceRule) -> int:
    """Whom of the chunk `rule` admits, as bits. `columns` has those of `rule.fields` that exist."""
    if rule.empty:
        return 0
    meant = _all_of(columns, rule.conditions) if rule.conditions else -1
    if rule.segments:
        meant &= _any_of(columns, rule, rule.segments)
    if rule.excluded and meant:
        meant &= ~_any_of(columns, rule, rule.excluded)
    return meant


def _any_of(columns: Mapping[str, Column], rule: AudienceRule, segments: Iterable[str]) -> int:
    found = 0
    for segment in segments:
        found |= _all_of(columns, rule.membership(segment))
    return found


def _all_of(columns: Mapping[str, Column], conditions: Sequence[Condition]) -> int:
    found = -1
    for condition in conditions:
        found &= _meeting(columns.get(condition.field, {}), condition)
    return found


def _meeting(column: Column, condition: Condition) -> int:
    if isinstance(condition, AnyOf):
        return _union(filter(None, (column.get(key_of(value)) for value in condition.values)))
    return _union(packed for (_, value), packed in column.items() if condition.holds(value))


def _union(sets: Iterable[bytes]) -> int:
    """Of stored sets, as bits."""
    found, bits = 0, bytearray(_DENSE_BYTES)
    for packed in sets:
        if len(packed) == _DENSE_BYTES:
            found |= int.from_bytes(packed, "little")
        else:
            for position in _places(packed):
                bits[position >> 3] |= 1 << (position & 7)
    return found | int.from_bytes(bits, "little")


def testers(columns: Mapping[str, Column]) -> int:
    """The chunk's testers, as bits."""
    return _having(columns, TESTER, True)


def skipped(columns: Mapping[str, Column], code: str) -> int:
    """Who of the chunk is suppressed for `code`, as bits."""
    return _having(columns, SUPPRESSION, code)


def opted_out(columns: Mapping[str, Column]) -> int:
    """Those of the chunk who opted out, as bits."""
    return skipped(columns, "OPTED_OUT")


def taken(ids: Sequence[str]) -> int:
    """The positions of the chunk where somebody is, as bits."""
    return int("".join("1" if contact_id else "0" for contact_id in reversed(ids)) or "0", 2)


def _having(columns: Mapping[str, Column], name: str, value: Scalar) -> int:
    packed = columns.get(name, {}).get(key_of(value))
    return unpack(packed) if packed else 0


@dataclass(frozen=True, slots=True)
class Tally:
    """How many contacts a rule admits, how many of them are testers, and by segment of the rule.

    `suppressed`, `testers_suppressed`: how many of them would be skipped, by code, all codes named.
    """

    total: int
    testers: int
    suppressed: Mapping[str, int]
    testers_suppressed: Mapping[str, int]
    by_segment: Mapping[str, int]

    @classmethod
    def of(cls, rule: AudienceRule, sums: Sequence[int]) -> "Tally":
        """From chunks' numbers, summed one by one."""
        codes = len(SUPPRESSIONS)
        return cls(
            sums[0],
            sums[1],
            dict(zip(SUPPRESSIONS, sums[2 : 2 + codes], strict=True)),
            dict(zip(SUPPRESSIONS, sums[2 + codes : 2 + 2 * codes], strict=True)),
            dict(zip(rule.segments, sums[2 + 2 * codes :], strict=True)),
        )


def width(rule: AudienceRule) -> int:
    """How many numbers a chunk has for `rule`."""
    return 2 + 2 * len(SUPPRESSIONS) + len(rule.segments)


def count(columns: Mapping[str, Column], rule: AudienceRule) -> Counts:
    """The chunk's numbers. `columns` has those of `rule.fields` and COUNTED_FIELDS that exist."""
    meant = select(columns, rule)
    if not meant:
        return (0,) * width(rule)
    test = meant & testers(columns)
    suppressed = [skipped(columns, code) for code in SUPPRESSIONS]
    return (
        meant.bit_count(),
        test.bit_count(),
        *((meant & some).bit_count() for some in suppressed),
        *((test & some).bit_count() for some in suppressed),
        *((meant & _any_of(columns, rule, [segment])).bit_count() for segment in rule.segments),
    )


# --- keeping current


def fold(chunk: Chunk, people: Mapping[int, Contact | None]) -> Chunk:
    """The chunk with the contacts at these positions as they are now; None: nobody is there any more.

    It depends on the contacts alone, not on what was folded before, so folding again changes nothing.
    Columns that stay as they are are the same objects.
    """
    ids = list(chunk.ids)
    ids += [""] * (max(people, default=-1) + 1 - len(ids))
    added: dict[str, dict[Key, list[int]]] = {}
    for position, contact in sorted(people.items()):
        ids[position] = contact.contact_id if contact else ""
        if contact:
            for name, value in _columns_of(contact):
                added.setdefault(name, {}).setdefault(key_of(value), []).append(position)
    touched = _bits(people)
    columns = {}
    for name in {**chunk.columns, **added}:
        before = chunk.columns.get(name, {})
        after = _replaced(before, people, touched, added.get(name, {}))
        if after:
            columns[name] = before if after == before else after
    return Chunk(chunk.ids if ids == chunk.ids else ids, columns)


def _columns_of(contact: Contact) -> Iterable[tuple[str, Scalar]]:
    yield from facts(contact)
    if contact.tester:
        yield TESTER, True
    code = suppression(contact)
    if code is not None:
        yield SUPPRESSION, code


def _replaced(
    before: Column, people: Container[int], touched: int, added: Mapping[Key, Sequence[int]]
) -> Column:
    after: Column = {}
    for key, packed in before.items():
        new = added.get(key, ())
        if not new and len(packed) < _DENSE_BYTES and not any(place in people for place in _places(packed)):
            after[key] = packed  # the common case by far where few contacts have each value
            continue
        positions = unpack(packed)
        kept = positions & ~touched | _bits(new)
        if kept:
            after[key] = packed if kept == positions else pack(kept)
    for key, new in added.items():
        if key not in before:
            after[key] = pack(_bits(new)) if len(new) > _SPARSE_MOST else struct.pack(f"<{len(new)}H", *new)
    return after


def _places(packed: bytes) -> tuple[int, ...]:
    """The members of a set that is not stored as bits."""
    return struct.unpack(f"<{len(packed) // 2}H", packed)


def _bits(positions: Iterable[int]) -> int:
    bits = bytearray(_DENSE_BYTES)
    for position in positions:
        bits[position >> 3] |= 1 << (position & 7)
    return int.from_bytes(bits, "little")
