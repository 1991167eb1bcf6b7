"""Every combination of filters, sort, search and page, against the rules of MongoDB's planner.

The queries are those the adapter sends, not descriptions of them; the rules are `query_plans`.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

import pytest
from campaign_service.adapters.campaign_listing import (
    INDEXES,
    SAMPLED,
    Find,
    Stretch,
    found_stretch,
    list_name,
    listed,
    matches_find,
    sample_find,
    sample_name,
    stretches,
    total_of,
    walk_find,
)
from campaign_service.adapters.campaign_tallies import Cell, cell_of
from campaign_service.application.ports import CampaignQuery, SortField
from contracts.events.campaign import CampaignStatus, CampaignType
from service_kit.testing.query_plans import Index, Plan, Query, plans

ARRAYS = frozenset({"lists", "terms"})
SERVED = [Index(keys, ARRAYS & set(keys)) for keys in INDEXES]
STATUSES: tuple[CampaignStatus, ...] = get_args(CampaignStatus)
TYPES: tuple[CampaignType, ...] = get_args(CampaignType)
COMBINATIONS = list(product((None, *STATUSES), (None, *TYPES), get_args(SortField), (True, False)))
TALLIES: dict[Cell, int] = {
    cell_of(status, type_): 4_000 + 1_000 * number
    for number, (status, type_) in enumerate(product(STATUSES, TYPES))
}
"""400,000 campaigns: many lists end within a page, and none is small."""


def queries(words: tuple[str, ...] | None = None) -> Iterator[CampaignQuery]:
    """All combinations, at the first page, in the middle, and at the last."""
    for status, type_, sort, descending in COMBINATIONS:
        query = CampaignQuery(
            "acme", limit=100, status=status, type=type_, sort=sort, descending=descending, words=words
        )
        last = -(-total_of(TALLIES, status, type_) // query.limit)
        yield from (replace(query, page=page) for page in (1, last // 2, last))


def best(find: Find) -> Plan:
    """The plan that reads least."""
    found = plans(Query(find.filter, find.order, find.projection), SERVED)
    return max(found, key=lambda plan: (plan.in_order, plan.covered))


def bound_of(stretch: Stretch) -> dict[str, Any]:
    return {stretch.key or "_id": {"$gte" if stretch.descending else "$lte": 1}}


def test_there_are_as_many_combinations_as_the_contract_allows() -> None:
    assert len(COMBINATIONS) == 6 * 6 * 16


def test_every_page_of_every_list_comes_from_one_index_in_its_order_without_a_document() -> None:
    for query in queries():
        for ahead in stretches(query, TALLIES):
            for stretch in (ahead, ahead.from_the_other_end()):
                finds = [walk_find(stretch, {}), walk_find(stretch, bound_of(stretch)), sample_find(stretch)]
                for find in finds:
                    plan = best(find)
                    assert plan.in_order and plan.covered, (query, find)


@pytest.mark.parametrize("words", [("sum",), ("sum", "campaign"), ("s", "a", "l", "e")])
def test_every_search_is_bounded_by_its_longest_word(words: tuple[str, ...]) -> None:
    for query in queries(words):
        find = matches_find(found_stretch(query))
        found = plans(Query(find.filter, find.order, find.projection), SERVED)
        assert ("terms",) in [plan.index.keys for plan in found], query
        assert find.filter["terms"]["$elemMatch"]["$gte"] == f"acme {max(words, key=len)}"
        assert len(find.filter.get("$and", [])) == len(words) - 1


def test_a_frequent_search_walks_its_list_in_order_unless_it_is_by_status_or_type_of_all() -> None:
    """Those two keys have no index of their own: a search by them always sorts its matches."""
    for query in queries(("sum", "campaign")):
        ahead = replace(found_stretch(query), size=1_000_000, members=1_000_000)
        by_no_index = (query.sort, getattr(query, query.sort, "")) in {("status", None), ("type", None)}
        for stretch in (ahead, ahead.from_the_other_end()):
            for find in (walk_find(stretch, bound_of(stretch)), sample_find(stretch)):
                assert best(find).in_order is not by_no_index, (query, find)


def test_a_search_is_never_covered_which_is_why_its_matches_cost_documents() -> None:
    stretch = found_stretch(CampaignQuery("acme", words=("sum",)))
    assert not best(matches_find(stretch)).covered
    assert not best(walk_find(stretch, bound_of(stretch))).covered


def test_rows_that_are_not_set_are_bounded_by_id_within_the_same_index() -> None:
    (stretch,) = stretches(CampaignQuery("acme", sort="budget", descending=False), TALLIES)
    plan = best(walk_find(stretch, {"sortKeys.budget": -1.0, "_id": {"$lte": "camp_7"}}))
    assert plan.in_order and plan.covered


def test_a_page_is_made_of_stretches_that_are_in_a_row_and_as_long_as_the_page() -> None:
    for query in queries():
        total = total_of(TALLIES, query.status, query.type)
        wanted = min(query.limit, total - (query.page - 1) * query.limit)
        assert sum(stretch.take for stretch in stretches(query, TALLIES)) == wanted, query


def test_a_list_by_status_is_its_sublists_one_after_the_other() -> None:
    tallies = {
        cell_of("draft", "message"): 3,
        cell_of("active", "message"): 4,
        cell_of("active", "custom"): 1,
    }
    page = CampaignQuery("acme", page=2, limit=3, sort="status", descending=False)
    assert list(stretches(page, tallies)) == [
        Stretch(list_name("acme", "active"), 5, None, False, 3, 2),
        Stretch(list_name("acme", "draft"), 3, None, False, 0, 1),
    ]
    beyond = replace(page, page=4)
    assert list(stretches(beyond, tallies)) == []


def test_sort_keys_are_never_null_so_that_a_range_leaves_nobody_out() -> None:
    document = {
        "_id": "camp_1",
        "budget": None,
        "startDate": None,
        "endDate": datetime(2024, 1, 1, tzinfo=UTC),
    }
    made = listed(document, ["été"], org="acme", status="draft", type_="message")
    assert made["sortKeys"] == {
        "budget": -1.0,
        "startDate": datetime(1, 1, 1, tzinfo=UTC),
        "endDate": document["endDate"],
    }
    assert made["terms"] == ["acme été"]


def test_about_one_row_of_a_hundred_and_twenty_eight_is_in_the_samples_of_its_lists() -> None:
    document = {"budget": None, "startDate": None, "endDate": None}
    sampled = 0
    for number in range(20_000):
        row = {"_id": f"camp_{number}", **document}
        lists = listed(row, [], org="acme", status="draft", type_="custom")["lists"]
        whole, sample = lists[:4], lists[4:]
        assert whole == ["*|*|acme", "*|custom|acme", "draft|*|acme", "draft|custom|acme"]
        assert sample in ([], [sample_name(name) for name in whole])
        sampled += bool(sample)
    assert 0.8 < sampled * SAMPLED / 20_000 < 1.2
