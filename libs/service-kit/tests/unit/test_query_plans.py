"""The planner's rules, as far as the checker knows them: what it grants and what it refuses."""

from typing import Any

import pytest
from service_kit.testing.query_plans import Index, Query, plans

AGES = Index(("org", "age", "_id"))
TAGS = Index(("tags", "age", "_id"), arrays=frozenset({"tags"}))
ID = {"_id": True}
BY_AGE = [("age", 1), ("_id", 1)]
TO_ELEPHANT: dict[str, Any] = {"$gte": "a", "$lt": "e"}


def granted(query: Query, index: Index) -> tuple[bool, bool]:
    (plan,) = plans(query, [index])
    return plan.in_order, plan.covered


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query({"org": "acme"}, BY_AGE, ID), AGES),
        (Query({"org": "acme"}, [("age", -1), ("_id", -1)], ID), AGES),
        (Query({"org": "acme", "age": {"$gte": 7}}, BY_AGE, ID), AGES),
        (Query({"org": "acme", "age": 7}, [("_id", 1)], ID), AGES),
        (Query({"org": "acme", "age": 7}, BY_AGE, ID), AGES),
        (Query({"tags": "cat"}, BY_AGE, ID), TAGS),
        (Query({"tags": "cat"}, BY_AGE, {"age": True}), TAGS),
    ],
)
def test_equalities_then_the_sort_are_answered_by_the_index_alone(query: Query, index: Index) -> None:
    assert granted(query, index) == (True, True)


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query({"org": {"$in": ["acme", "other"]}}, BY_AGE, ID), AGES),
        (Query({"org": {"$gte": "acme"}}, BY_AGE, ID), AGES),
        (Query({"org": "acme"}, [("age", 1), ("_id", -1)], ID), AGES),
        (Query({"org": "acme"}, [("_id", 1)], ID), AGES),
        (Query({"org": "acme", "age": {"$gte": 7}}, [("_id", 1)], ID), AGES),
        (Query({"org": "acme"}, [*BY_AGE, ("name", 1)], ID), AGES),
        (Query({"tags": TO_ELEPHANT}, BY_AGE, ID), TAGS),
        (Query({"tags": {"$elemMatch": TO_ELEPHANT}}, BY_AGE, ID), TAGS),
        (Query({"org": "acme"}, [("tags", 1)], ID), Index(("org", "tags"), arrays=frozenset({"tags"}))),
    ],
)
def test_what_the_index_does_not_order_is_sorted(query: Query, index: Index) -> None:
    assert not granted(query, index)[0]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (Query({"org": "acme"}, BY_AGE), AGES),
        (Query({"org": "acme"}, BY_AGE, {"name": True}), AGES),
        (Query({"org": "acme", "name": "x"}, BY_AGE, ID), AGES),
        (Query({"org": "acme"}, [("age", 1)], {"age": True}), Index(("org", "age"))),
        (Query({"tags": "cat"}, BY_AGE, {"tags": True}), TAGS),
        (Query({"tags": {"$elemMatch": TO_ELEPHANT}}, BY_AGE, ID), TAGS),
    ],
)
def test_what_the_index_does_not_hold_costs_documents(query: Query, index: Index) -> None:
    assert not granted(query, index)[1]


def test_a_query_without_its_first_key_has_no_plan() -> None:
    assert plans(Query({"age": 7}, BY_AGE, ID), [AGES, TAGS]) == []


def test_two_arrays_do_not_fit_one_index() -> None:
    with pytest.raises(ValueError, match="one array"):
        Index(("tags", "terms"), arrays=frozenset({"tags", "terms"}))
