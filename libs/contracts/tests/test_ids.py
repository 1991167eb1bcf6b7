"""Ids sort by creation."""

from time import time

from contracts.ids import lowest_id, new_id


def test_ids_made_from_a_time_on_are_not_below_the_lowest_of_it():
    before = time() - 0.001
    assert lowest_id("dlv", before) <= new_id("dlv") < lowest_id("dlv", before + 3600)
    assert lowest_id("dlv", -1e12) < lowest_id("dlv", before) < lowest_id("dlv", 1e15)
