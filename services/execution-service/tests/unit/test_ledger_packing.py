"""What the ledger packs it gives back, whatever it is."""

from datetime import UTC, datetime, timedelta
from typing import cast

import msgspec
from contracts.outcome_codes import MESSAGES
from execution_service.adapters.ledger_packing import (
    pack_contacts,
    pack_former,
    pack_outcomes,
    pack_places,
    pack_positions,
    pack_segments,
    pack_tried,
    unpack_candidates,
    unpack_contacts,
    unpack_former,
    unpack_outcomes,
    unpack_places,
    unpack_positions,
)
from execution_service.domain.outcomes import STATUSES, Candidate, Final
from execution_service.domain.retrying import Former, Place
from hypothesis import given, settings
from hypothesis import strategies as st

SINCE = datetime(2026, 6, 1, tzinfo=UTC)
CONTACT_IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._~@-]{0,127}", fullmatch=True)
POSITIONS = st.integers(0, 9_999)
SETS = st.sampled_from([(), ("seg_a",), ("seg_a", "seg_c"), ("seg_b", "seg_a")]) | st.lists(
    st.text(max_size=9), max_size=3, unique=True
).map(tuple)
FINALS = st.builds(
    Final,
    POSITIONS,
    st.sampled_from(STATUSES),
    # What is decided without sending is decided before the intent.
    st.integers(-60_000, 10**8).map(lambda ms: SINCE + timedelta(milliseconds=ms)),
    st.none() | st.sampled_from(sorted(MESSAGES)),
    st.none() | st.text(max_size=40),
    st.none() | st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
    SETS,
)


@settings(deadline=None)
@given(st.lists(CONTACT_IDS))
def test_contact_ids_come_back_in_their_order(contact_ids: list[str]) -> None:
    assert unpack_contacts(pack_contacts(contact_ids)) == contact_ids


@settings(deadline=None)
@given(st.lists(POSITIONS))
def test_positions_come_back_in_their_order(positions: list[int]) -> None:
    assert unpack_positions(pack_positions(positions)) == positions
    assert unpack_positions(pack_positions(cast(list[int], tuple(positions)))) == positions


@settings(deadline=None)
@given(st.lists(st.builds(Candidate, POSITIONS, st.integers(0, 3), st.integers(0, 99), st.booleans(), SETS)))
def test_candidates_come_back_with_what_they_have_been_through(candidates: list[Candidate]) -> None:
    segments = pack_segments([item.segments for item in candidates])
    packed = pack_positions([item.position for item in candidates]), pack_tried(candidates), segments
    assert unpack_candidates(*packed) == candidates
    assert (segments is None) == (not any(item.segments for item in candidates))
    untried = [Candidate(item.position).within(item.segments) for item in candidates]
    assert (packed[1] is None) == (candidates == untried)


@settings(deadline=None)
@given(st.lists(FINALS))
def test_outcomes_come_back_as_they_were(finals: list[Final]) -> None:
    assert unpack_outcomes(pack_outcomes(finals, since=SINCE), since=SINCE) == finals


def test_an_outcome_takes_a_handful_of_bytes() -> None:
    """Names are written once a window; numbers as short as they are."""
    finals = [
        Final(
            400 + n,
            "successful" if n % 10 else "failed",
            SINCE + timedelta(milliseconds=3 * n),
            None if n % 10 else "USER_BLOCKED",
            f"variation-{n % 3}",
            5_000_000 + n if n % 10 else None,
            sent=True,
        )
        for n in range(100)
    ]
    assert len(pack_outcomes(finals, since=SINCE)) < 13 * len(finals)


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Former,
            st.integers(0, 2**31),
            st.text(max_size=40),
            st.none() | st.text(max_size=40),
            st.sampled_from(STATUSES),
            st.none() | st.sampled_from(sorted(MESSAGES)),
            SETS,
        )
    ),
    st.lists(st.builds(Place, st.integers(0, 10**6), POSITIONS)),
)
def test_what_a_retry_knows_of_its_contacts_comes_back(former: list[Former], places: list[Place]) -> None:
    assert unpack_former(pack_former(former)) == former
    assert [Place(*item) for item in unpack_places(pack_places(places))] == places


def test_what_was_written_before_there_were_segments_is_read_without() -> None:
    kind, row = ("failed", "USER_BLOCKED", None, True), (7, "msg", None, "failed", "USER_BLOCKED")
    outcomes = msgspec.msgpack.encode([[kind], [4], [0], [15], [None]])
    at = SINCE + timedelta(milliseconds=15)
    assert unpack_outcomes(outcomes, since=SINCE) == [
        Final(4, "failed", at, "USER_BLOCKED", None, None, sent=True)
    ]
    assert unpack_former(msgspec.msgpack.encode([[row], [0, 0]])) == [Former(*row)] * 2
    assert unpack_candidates(pack_positions([3, 1]), None, None) == [Candidate(3), Candidate(1)]


def test_segments_take_their_names_and_a_byte_a_contact() -> None:
    names = [f"seg_{number:022}" for number in range(3)]
    sets = [tuple(names[: n % 4]) for n in range(100)]
    assert len(pack_segments(sets) or b"") < 100 + 3 * 28 + 30
    assert len(pack_segments([(names[0],)] * 100) or b"") < 28 + 10
