"""Samples and variations follow from hashes."""

from execution_service.domain.sampling import choose_variation, fraction, in_sample

PEOPLE = [f"con_{number}" for number in range(20_000)]


def test_a_smaller_sample_is_part_of_a_larger_one() -> None:
    ten = {person for person in PEOPLE if in_sample("seed", person, 10)}
    twenty = {person for person in PEOPLE if in_sample("seed", person, 20)}
    assert ten < twenty
    assert 1_800 < len(ten) < 2_200
    assert 3_700 < len(twenty) < 4_300


def test_another_seed_samples_other_people() -> None:
    ours = {person for person in PEOPLE if in_sample("seed", person, 10)}
    theirs = {person for person in PEOPLE if in_sample("other", person, 10)}
    assert len(ours & theirs) < 0.2 * len(ours)


def test_a_whole_audience_leaves_nobody_out() -> None:
    assert all(in_sample("seed", person, 100) for person in PEOPLE)


def test_the_hash_is_the_same_on_every_machine() -> None:
    assert fraction("seed", "con_1") == 0.979235582711736
    assert fraction("a", "bc") != fraction("ab", "c")


def test_own_content_keeps_what_the_weights_leave() -> None:
    chosen = [choose_variation("seed", "msg", person, [30, 20]) for person in PEOPLE]
    shares = {index: chosen.count(index) / len(PEOPLE) for index in (0, 1, None)}
    assert abs(shares[0] - 0.3) < 0.02
    assert abs(shares[1] - 0.2) < 0.02
    assert abs(shares[None] - 0.5) < 0.02


def test_weights_of_a_hundred_leave_the_own_content_unused() -> None:
    for weights in ([50, 50], [33.3, 33.3, 33.4], [100], [0, 100]):
        assert None not in {choose_variation("seed", "msg", person, weights) for person in PEOPLE}


def test_a_weight_of_zero_is_never_chosen() -> None:
    assert {choose_variation("seed", "msg", person, [0, 50]) for person in PEOPLE} == {1, None}
