"""The schedule: a pure function of the seed, and enough of everything."""

from collections import Counter

import pytest
from chaos.schedule import (
    HOWS,
    LONG,
    PROXIED,
    SENDING,
    SHORT,
    WORKERS,
    Form,
    as_table,
    kills_in,
    schedule,
    without_partitions,
)  # fmt: skip

SEEDS = range(200)


@pytest.mark.parametrize("form", [LONG, SHORT], ids=lambda form: form.name)
def test_a_seed_means_the_same_schedule_and_another_one_another(form: Form) -> None:
    assert schedule(7, form) == schedule(7, form)
    assert schedule(7, form) != schedule(8, form)
    assert as_table(7, form, schedule(7, form)) == as_table(7, form, schedule(7, form))


def test_the_long_form_has_thirty_kills_ten_pauses_and_every_partition() -> None:
    for seed in SEEDS:
        faults = schedule(seed, LONG)
        assert kills_in(faults) >= 30, seed
        assert sum(fault.kind == "pause" for fault in faults) >= 10, seed
        parted = Counter((fault.part, fault.how) for fault in faults if fault.kind == "partition")
        assert parted.keys() == {(part, how) for part in PROXIED for how in HOWS}, seed
        assert WORKERS in [fault.kill for fault in faults], seed


@pytest.mark.parametrize("form", [LONG, SHORT], ids=lambda form: form.name)
def test_every_part_dies_and_workers_most(form: Form) -> None:
    for seed in SEEDS:
        killed = Counter(name for fault in schedule(seed, form) for name in fault.kill)
        assert killed.keys() >= set(SENDING), seed
        assert sum(killed[name] for name in WORKERS) >= (12 if form is LONG else 1), seed


@pytest.mark.parametrize("form", [LONG, SHORT], ids=lambda form: form.name)
def test_faults_come_in_order_while_there_is_something_left_to_send(form: Form) -> None:
    for seed in SEEDS:
        faults = schedule(seed, form)
        assert (faults[0].at, faults[0].kill) == (0, ("execution-planner",))
        marks = [fault.at for fault in faults]
        assert marks == sorted(marks)
        assert marks[-1] <= form.contacts - 3 * form.rate, seed
        assert all(0 <= fault.later <= max(fault.seconds, 2.5) for fault in faults), seed


def test_without_a_proxy_all_but_the_partitions_is_left() -> None:
    faults = schedule(3, SHORT)
    left = without_partitions(faults)
    assert len(left) == len(faults) - SHORT.partitions
    assert {fault.kind for fault in left} == {"kill", "pause"}


def test_the_table_says_how_to_repeat_it_and_names_every_fault() -> None:
    faults = schedule(3, SHORT)
    text = as_table(3, SHORT, faults)
    assert "SEED=3 repeats it" in text
    assert len(text.splitlines()) == len(faults) + 2
    assert all(name in text for fault in faults for name in (*fault.kill, fault.part))
