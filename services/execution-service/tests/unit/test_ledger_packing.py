"""What the ledger packs it gives back, whatever it is."""

from datetime import UTC, datetime, timedelta
from typing import cast

from contracts.outcome_codes import MESSAGES
from execution_service.adapters.ledger_packing import (
    pack_contacts,
    pack_former,
    pack_outcomes,
    pack_places,
    pack_positions,
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
@given(st.lists(st.builds(Candidate, POSITIONS, st.integers(0, 3), st.integers(0, 99), st.booleans())))
def test_candidates_come_back_with_what_they_have_been_through(candidates: list[Candidate]) -> None:
    packed = pack_positions([item.position for item in candidates]), pack_tried(candidates)
    assert unpack_candidates(*packed) == candidates
    assert (packed[1] is None) == all(item == Candidate(item.position) for item in candidates)


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
        )
    ),
    st.lists(st.builds(Place, st.integers(0, 10**6), POSITIONS)),
)
def test_what_a_retry_knows_of_its_contacts_comes_back(former: list[Former], places: list[Place]) -> None:
    assert unpack_former(pack_former(former)) == former
    assert [Place(*item) for item in unpack_places(pack_places(places))] == places
