"""What MongoDB's query planner can do for a query with given indexes, by its documented rules.

Mental model: a query is conditions, a sort and a projection; an index is its keys, all ascending,
and which of them may hold arrays. `plans` says of each index that bounds the query whether its walk
has the sort's order (else MongoDB sorts, blocking) and whether it covers the query (else each entry
it walks, those it skips too, costs a document). Rules, from the manual's pages "The ESR Guideline",
"Use Indexes to Sort Query Results", "Covered Queries" and "Multikey Indexes":

1. Bounds: an index serves a query only by conditions on its first key, and on each next key while
   those before it are equalities.
2. Order: after the keys bound to one value, the next ones are the sort's, in its order, all forward
   or all backward. A range is allowed on the first of them only.
3. Arrays: a key that may hold arrays gives order to what follows only when bound to one value, and
   orders nothing itself. At most one key of an index may hold arrays.
4. Covered: conditions and projection name only keys of the index, `_id` is projected out or a key,
   and what is projected holds no arrays. A condition on an array is answered by the index alone only
   when it is an equality.

What it leaves out serves nobody here: descending keys, `$or`, merges of `$in`, collations, sparse and
partial indexes. It is stricter than MongoDB: what it grants is granted, what it refuses may work.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

RANGE = frozenset({"$gt", "$gte", "$lt", "$lte"})


@dataclass(frozen=True, slots=True)
class Index:
    """An index on `keys`, all ascending; `arrays`: which of them may hold arrays."""

    keys: tuple[str, ...]
    arrays: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if len(self.arrays & set(self.keys)) > 1:
            raise ValueError(f"{self.keys}: an index may hold one array key at most")


@dataclass(frozen=True, slots=True)
class Query:
    """A `find`: its filter, its sort, and what it answers (None: whole documents)."""

    filter: Mapping[str, Any]
    sort: Sequence[tuple[str, int]] = ()
    projection: Mapping[str, Any] | None = None
    projected: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        shown = {name for name, wanted in (self.projection or {}).items() if wanted}
        if (self.projection or {}).get("_id", True):
            shown.add("_id")
        object.__setattr__(self, "projected", frozenset(shown))


@dataclass(frozen=True, slots=True)
class Plan:
    """How `index` serves a query."""

    index: Index
    in_order: bool
    covered: bool


def plans(query: Query, indexes: Iterable[Index]) -> list[Plan]:
    """The plans of `query` that do not read the whole collection; none: it would."""
    return [
        Plan(index, _in_order(query, index), _covered(query, index))
        for index in indexes
        if index.keys[0] in query.filter
    ]


def _equals(condition: Any) -> bool:
    """Whether a condition is an equality with a plain value."""
    return not isinstance(condition, Mapping) or set(condition) == {"$eq"}


def _in_order(query: Query, index: Index) -> bool:
    rest = list(index.keys)
    while rest and rest[0] in query.filter and _equals(query.filter[rest[0]]):
        del rest[0]
    sort = [(key, way) for key, way in query.sort if not _equals(query.filter.get(key, {}))]
    keys, ways = [key for key, _ in sort], {way for _, way in sort}
    return rest[: len(keys)] == keys and len(ways) <= 1 and not index.arrays & set(rest[: len(keys)])


def _covered(query: Query, index: Index) -> bool:
    if query.projection is None:
        return False
    needed = set(query.filter) | query.projected
    exact = all(_equals(query.filter[key]) for key in index.arrays & set(query.filter))
    return needed <= set(index.keys) and not index.arrays & query.projected and exact
