"""Whom messages reached is kept small, and comes back as it was told."""

from collections import defaultdict
from datetime import UTC, datetime
from random import Random
from typing import Any

import bson
from hypothesis import given
from hypothesis import strategies as st
from stats_service.adapters.reached_rows import Groups, add_reached, reached_in
from stats_service.domain.people import Wanted, reference, references
from stats_service.domain.person import Received

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CONTACTS = [f"contact_{n}" for n in range(6)]
KINDS = st.builds(
    Received,
    st.integers(0, 2**32 - 1),
    st.just("msg_1"),
    st.sampled_from(["", "var_1", "var_2"]),
    st.lists(st.sampled_from([f"seg_{n}" for n in range(20)]), unique=True).map(
        lambda ids: tuple(sorted(ids))
    ),
)
FOLDS = st.lists(
    st.dictionaries(KINDS, st.lists(st.sampled_from(CONTACTS), min_size=1), min_size=1, max_size=4),
    max_size=5,
)


def row_of(folds: list[Groups]) -> dict[str, Any]:
    """The row after these folds, as MongoDB makes it of the writes."""
    row: dict[str, Any] = {}
    for revision, groups in enumerate(folds):
        change: Any = add_reached("key", row, groups, revision, NOW)._doc
        row |= change["$set"]
        for name, item in change["$push"].items():
            row.setdefault(name, []).append(item)
    return row


@given(folds=FOLDS, names=st.sets(st.sampled_from(CONTACTS)))
def test_what_reached_some_contacts_is_found_as_it_was_told(
    folds: list[dict[Received, list[str]]], names: set[str]
) -> None:
    told: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
    for groups in folds:
        for received, contacts in groups.items():
            for name in names.intersection(contacts):
                told[reference(name)] += [_unordered(received)] * contacts.count(name)
    row = {"contacts": []} | row_of(
        [{kind: references(of) for kind, of in groups.items()} for groups in folds]
    )
    found: dict[bytes, list[tuple[Any, ...]]] = defaultdict(list)
    for contact, received in reached_in(
        row | {"contacts": row.get("contacts", [])}, Wanted(map(reference, names))
    ):
        found[contact].append(_unordered(received))
    assert {contact: sorted(some) for contact, some in found.items()} == {
        contact: sorted(some) for contact, some in told.items()
    }


def _unordered(received: Received) -> tuple[Any, ...]:
    return (*received[:3], tuple(sorted(received.segments)))


def bytes_of_a_shard(*, window: int, segments: list[str], variations: list[str], sets: int) -> int:
    """Of the row of 2,000 contacts that were reached in windows, each by one of some sets of segments."""
    random = Random(1)
    some = [tuple(random.sample(segments, len(segments) // 2)) for _ in range(sets)]
    folds: list[Groups] = []
    for start in range(0, 2_000, window):
        groups: dict[Received, bytearray] = defaultdict(bytearray)
        for contact in range(start, start + window):
            kind = Received(start, "msg_1", variations[contact % len(variations)], random.choice(some))
            groups[kind] += reference(str(contact))
        folds.append(groups)
    return len(bson.encode(row_of(folds)))


def test_a_row_takes_few_bytes_for_a_contact_however_small_the_windows_are() -> None:
    ids = ["seg_0", "seg_1", "seg_2"]
    assert bytes_of_a_shard(window=8, segments=ids, variations=["var_1", "var_2"], sets=3) < 2_000 * 20


def test_a_row_at_the_limits_of_campaigns_is_far_from_what_mongodb_takes() -> None:
    segments = [f"{n:0100}" for n in range(100)]
    variations = [f"{n:0100}" for n in range(20)]
    assert bytes_of_a_shard(window=1, segments=segments, variations=variations, sets=2_000) < 200_000
