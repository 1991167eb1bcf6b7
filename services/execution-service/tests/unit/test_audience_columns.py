"""The columns answer what the rule means, however the contacts came there."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from execution_service.domain.audience import AudienceRule, read_rule
from execution_service.domain.audience_columns import (
    CHUNK_SIZE,
    Chunk,
    Tally,
    count,
    fold,
    pack,
    positions_of,
    select,
    unpack,
)
from execution_service.domain.contact import Contact
from execution_service.domain.membership import Membership
from execution_service.domain.suppression import SUPPRESSIONS, suppression
from hypothesis import given, settings
from hypothesis import strategies as st

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
SEGMENTS = st.lists(st.sampled_from(["a", "b", "c", "d"]), unique=True, max_size=3)
WORDS = st.sampled_from(["", "a", "b", "ä", "z", "1", "true"])
NUMBERS = st.sampled_from([0, 1, 1.0, 1.5, 2, -1, -0.0, 2**53, 2.0**53, 2**53 + 1, -(2**63), 2**63 - 1])
SCALARS = st.one_of(WORDS, NUMBERS, st.booleans())
BOUNDS = st.one_of(
    st.fixed_dictionaries({"min": NUMBERS}, optional={"max": NUMBERS}),
    st.fixed_dictionaries({"max": WORDS}, optional={"min": WORDS}),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), BOUNDS)
FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "location": st.lists(st.sampled_from(["US", "CA", "FR"]), max_size=2),
        "ageRange": st.tuples(st.integers(0, 40), st.integers(20, 60)).map(list),
        "interests": st.lists(WORDS, max_size=2),
        "purchaseHistory": st.booleans(),
        "tier": VALUES,
        "n": VALUES,
        "größe": VALUES,
        "segments": SCALARS,
        "tester": SCALARS,
    },
)
PEOPLE = st.builds(
    dict,
    location=st.one_of(st.none(), st.sampled_from(["US", "CA", "FR"])),
    age=st.one_of(st.none(), st.integers(0, 60)),
    interests=st.lists(WORDS, unique=True, max_size=3).map(tuple),
    purchase_history=st.one_of(st.none(), st.booleans()),
    attributes=st.dictionaries(st.sampled_from(["tier", "n", "größe", "segments", "tester"]), SCALARS),
    segments=SEGMENTS.map(tuple),
    tester=st.booleans(),
    opted_out=st.booleans(),
    unreachable=st.sampled_from([None, "BLOCKED", "DEACTIVATED", "NO_CHAT"]),
)
POSITIONS = st.one_of(st.integers(0, 8), st.integers(0, CHUNK_SIZE - 1), st.just(CHUNK_SIZE - 1))
TURNS = st.lists(st.dictionaries(POSITIONS, st.one_of(st.none(), PEOPLE), max_size=12), max_size=4)
RULES = st.tuples(SEGMENTS, FILTERS, SEGMENTS, st.dictionaries(st.sampled_from(["a", "d"]), FILTERS))


def someone(position: int, fields: Mapping[str, Any]) -> Contact:
    return Contact("acme", f"c{position}", 1, NOW, NOW, ordinal=position, **fields)


@given(TURNS, st.lists(RULES, max_size=8))
@settings(max_examples=400, deadline=None)
def test_the_columns_admit_whom_the_rule_admits_however_often_contacts_changed(
    turns: list[dict[int, dict[str, Any] | None]],
    rules: list[tuple[list[str], dict[str, Any], list[str], dict[str, Any]]],
) -> None:
    chunk, people = Chunk(), dict[int, Contact]()
    for turn in turns:
        now = {place: someone(place, fields) if fields else None for place, fields in turn.items()}
        chunk = fold(chunk, now)
        people |= {place: one for place, one in now.items() if one}
        people = {place: one for place, one in people.items() if now.get(place, one)}
    again = fold(chunk, {place: people.get(place) for turn in turns for place in turn})
    assert again == chunk
    assert {place: name for place, name in enumerate(chunk.ids) if name} == {
        place: one.contact_id for place, one in people.items()
    }
    for segments, filters, excluded, dynamic in rules:
        rule = read_rule(segments, filters, excluded, dynamic)
        columns = {name: chunk.columns[name] for name in rule.fields if name in chunk.columns}
        assert positions_of(select(columns, rule)) == sorted(
            place for place, one in people.items() if rule.admits(one)
        )
        assert Tally.of(rule, count(chunk.columns, rule)) == counted(rule, people.values())


@given(st.lists(PEOPLE, max_size=6), RULES)
@settings(max_examples=200, deadline=None)
def test_a_contact_is_in_the_segments_whose_members_the_rule_admits(
    people: list[dict[str, Any]], given_rule: tuple[list[str], dict[str, Any], list[str], dict[str, Any]]
) -> None:
    segments, filters, excluded, dynamic = given_rule
    rule = read_rule(segments, filters, excluded, dynamic)
    membership = Membership(rule)
    for place, fields in enumerate(people):
        one = someone(place, fields)
        stored = {
            "segments": list(one.segments), "interests": list(one.interests), "attributes": one.attributes,
            "location": one.location, "age": one.age, "purchaseHistory": one.purchase_history,
        }  # fmt: skip
        read = {name: value for name, value in stored.items() if value is not None}
        assert membership.of(read) == tuple(
            name for name in segments if AudienceRule((name,), dynamic=rule.dynamic).admits(one)
        )
        needed = {field.partition(".")[0] for field in membership.fields}
        assert membership.of({name: read[name] for name in needed & read.keys()}) == membership.of(read)


def counted(rule: AudienceRule, people: Any) -> Tally:
    """The same numbers, contact by contact."""
    meant = [one for one in people if rule.admits(one)]
    tests = [one for one in meant if one.tester]
    return Tally(
        len(meant),
        len(tests),
        {code: sum(suppression(one) == code for one in meant) for code in SUPPRESSIONS},
        {code: sum(suppression(one) == code for one in tests) for code in SUPPRESSIONS},
        {
            name: sum(AudienceRule((name,), dynamic=rule.dynamic).admits(one) for one in meant)
            for name in rule.segments
        },
    )


@given(st.one_of(st.sets(st.integers(0, CHUNK_SIZE - 1)), st.integers(0, CHUNK_SIZE).map(range)))
@settings(deadline=None)
def test_a_set_comes_back_as_it_was_packed_and_takes_512_bytes_at_most(members: Any) -> None:
    bits = sum(1 << member for member in members)
    packed = pack(bits)
    assert unpack(packed) == bits
    assert positions_of(bits) == sorted(members)
    assert len(packed) == (2 * len(members) if len(members) < 64 else 512)


def test_what_does_not_change_is_the_same_object_so_that_it_need_not_be_stored() -> None:
    before = fold(Chunk(), {1: someone(1, {"age": 30, "location": "US"})})
    after = fold(before, {1: someone(1, {"age": 31, "location": "US"})})
    assert after.columns["location"] is before.columns["location"]
    assert after.ids is before.ids
    assert after.columns["age"] != before.columns["age"]
    assert fold(after, {1: None}).columns == {}


def test_nothing_at_all_is_nobody_and_sums_to_zeros() -> None:
    rule = read_rule(["a", "b"], None, [])
    assert Tally.of(rule, count({}, rule)) == Tally(
        0, 0, dict.fromkeys(SUPPRESSIONS, 0), dict.fromkeys(SUPPRESSIONS, 0), {"a": 0, "b": 0}
    )
    assert select({}, AudienceRule()) == 0
