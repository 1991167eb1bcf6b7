"""Lists of campaigns at any size: every page is a short stretch of one index.

Mental model: a campaign is a member of four lists: of all of its org's campaigns, of those with its
status, of those with its type, and of those with both. Their names are its array `lists`, and each
index is (`lists`, sort key, `_id`): whatever the filters, a page is one equality and a walk in the
index's own order, and the ids come from the index alone. Then at most a hundred documents are read.

- Totals come from the ledger of tallies, in the snapshot of the page: nothing is counted.
- A list sorted by a field with five values is its five sublists one after the other, by id.
- A page of the latter half is read from the other end.
- Some databases sort, or read a list whole, before they apply a limit. So each query is also bounded
  by a sort key behind which the page surely ends, found in a sample: one row of 128 is also a
  member of "~" + the list. When the bounded query answers too few rows, it is asked without a bound.
- Sort keys have no nulls (what is not set sorts before all), because a range never spans types.
- A search reads the matches of its longest word by the index of `terms`, counts them and sorts their
  ids. Where matches are frequent, a bounded walk of the list meets enough of them sooner.
"""

import math
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, get_args

from contracts.events.campaign import CampaignStatus, CampaignType
from pymongo.read_concern import ReadConcern
from service_kit.mongo.client import Collection, Database, Document, Session

from campaign_service.adapters.campaign_tallies import ROWS_TO_FOLD, MongoTallies, Tallies
from campaign_service.application.ports import CampaignQuery, SortField

SORT_KEYS: dict[SortField, str] = {
    "name": "name",
    "budget": "sortKeys.budget",
    "startDate": "sortKeys.startDate",
    "endDate": "sortKeys.endDate",
    "createdAt": "createdAt",
    "updatedAt": "updatedAt",
}
"""The key of each sort field. `status` and `type` need none: their lists are the sublists in a row."""

INDEXES: tuple[tuple[str, ...], ...] = (
    ("lists", "_id"),
    *(("lists", key, "_id") for key in SORT_KEYS.values()),
    ("terms",),
)
MADE_FOR_LISTS = ("lists", "sortKeys", "terms")
"""The fields of a document that only its indexes need."""

SAMPLED = 128
SMALL = 2_000
"""Lists up to this size are read without a bound."""

_UNSET_TIME = datetime(1, 1, 1, tzinfo=UTC)
_UNSET_NUMBER = -1.0
_END_OF_WORDS = "\U0010ffff"
_ONLY_ID = {"_id": True}


def list_name(org: str, status: str | None = None, type_: str | None = None) -> str:
    """The list of the org's campaigns with that status and type; None: any."""
    return f"{status or '*'}|{type_ or '*'}|{org}"


def listed(
    document: Document, words: Sequence[str], *, org: str, status: CampaignStatus, type_: CampaignType
) -> Document:
    """What lists need of a campaign's `document` beside it: its lists, sort keys, and search terms."""
    lists = [list_name(org, s, t) for s in (None, status) for t in (None, type_)]
    if zlib.crc32(document["_id"].encode()) % SAMPLED == 0:
        lists += [sample_name(name) for name in lists]
    budget = document["budget"]
    return {
        "lists": lists,
        "sortKeys": {
            "budget": _UNSET_NUMBER if budget is None else budget,
            "startDate": document["startDate"] or _UNSET_TIME,
            "endDate": document["endDate"] or _UNSET_TIME,
        },
        "terms": [f"{org} {word}" for word in words],
    }


def sample_name(name: str) -> str:
    """The list of one row of 128 of the list `name`."""
    return f"~{name}"


@dataclass(frozen=True, slots=True)
class Find:
    """A query of the campaigns: what MongoDB is asked."""

    filter: Document
    order: list[tuple[str, int]]
    skip: int
    limit: int
    projection: Document


def _order(key: str | None, *, descending: bool) -> list[tuple[str, int]]:
    """By `key` (None: only by id), ties by id in the same direction, so that an index has it."""
    return [(name, -1 if descending else 1) for name in (key, "_id") if name is not None]


@dataclass(frozen=True, slots=True)
class Stretch:
    """`take` rows of the list `name`, after `skip`, in the order of `key` (None: of ids).

    `size`: how many rows the list has, or how many of its `members` meet all the `terms` of a search.
    """

    name: str
    size: int
    key: str | None
    descending: bool
    skip: int
    take: int
    terms: tuple[Document, ...] = ()
    members: int | None = None

    @property
    def depth(self) -> int:
        """How many rows of the list are read."""
        return self.skip + self.take

    def from_the_other_end(self) -> "Stretch":
        """The same rows, in the opposite order."""
        return replace(self, descending=not self.descending, skip=self.size - self.depth)


def walk_find(stretch: Stretch, bound: Document) -> Find:
    """The ids of a stretch; `bound`: a condition that all rows up to its end are thought to meet."""
    order = _order(stretch.key, descending=stretch.descending)
    condition = {"lists": stretch.name, **bound, **_all_of(stretch.terms)}
    return Find(condition, order, stretch.skip, stretch.take, _ONLY_ID)


def matches_find(stretch: Stretch) -> Find:
    """The ids of a stretch of matches, found by the first term and sorted."""
    first, *others = stretch.terms
    order = _order(stretch.key, descending=stretch.descending)
    condition = {**first, "lists": stretch.name} | ({"$and": others} if others else {})
    return Find(condition, order, stretch.skip, stretch.take, _ONLY_ID)


def _all_of(terms: tuple[Document, ...]) -> Document:
    """A condition of its own: a planner that takes the conjuncts one by one begins with the list."""
    return {"$and": [{"$and": list(terms)}]} if terms else {}


def sample_find(stretch: Stretch) -> Find:
    """A row of the sample that lies behind the stretch's end, but for one time in a thousand.

    Before the sample's n-th row (from 0) lie SAMPLED * (n + 1) rows on average, with a deviation of
    SAMPLED * sqrt(n + 1): three and a half of them are left as a margin.
    """
    expected = stretch.depth / SAMPLED
    position = math.ceil(expected + 3.5 * math.sqrt(expected + 1)) - 1
    order = _order(stretch.key, descending=stretch.descending)
    condition = {"lists": sample_name(stretch.name), **_all_of(stretch.terms)}
    return Find(condition, order, position, 1, {stretch.key or "_id": True})


def stretches(query: CampaignQuery, tallies: Tallies) -> Iterator[Stretch]:
    """The stretches of lists, in order, that make up the page."""
    skip, wanted = (query.page - 1) * query.limit, query.limit
    for status, type_ in _sublists(query):
        size = total_of(tallies, status, type_)
        take = min(wanted, size - skip)
        if take > 0:
            name, key = list_name(query.org, status, type_), SORT_KEYS.get(query.sort)
            yield Stretch(name, size, key, query.descending, skip, take)
            wanted -= take
        skip = max(skip - size, 0)


def found_stretch(query: CampaignQuery) -> Stretch:
    """The page of a search, before it is known how many match. The longest word is likely the rarest."""
    starts = [f"{query.org} {word}" for word in sorted(query.words or (), key=len, reverse=True)]
    terms = ({"terms": {"$elemMatch": {"$gte": start, "$lt": start + _END_OF_WORDS}}} for start in starts)
    given = {"status": query.status, "type": query.type}.get(query.sort)
    key = None if given is not None else SORT_KEYS.get(query.sort, query.sort)
    name, skip = list_name(query.org, query.status, query.type), (query.page - 1) * query.limit
    return Stretch(name, 0, key, query.descending, skip, query.limit, tuple(terms), members=0)


def _sublists(query: CampaignQuery) -> list[tuple[str | None, str | None]]:
    if query.sort == "status" and query.status is None:
        statuses = sorted(get_args(CampaignStatus), reverse=query.descending)
        return [(status, query.type) for status in statuses]
    if query.sort == "type" and query.type is None:
        types = sorted(get_args(CampaignType), reverse=query.descending)
        return [(query.status, type_) for type_ in types]
    return [(query.status, query.type)]


def total_of(tallies: Tallies, status: str | None, type_: str | None) -> int:
    """How many campaigns have that status and type; None: any."""
    return sum(n for (s, t), n in tallies.items() if status in (None, s) and type_ in (None, t))


class CampaignListing:
    """Finds the ids of a page, and the total."""

    def __init__(self, database: Database, rows: Collection, tallies: MongoTallies) -> None:
        self._client = database.client
        self._rows = rows
        self._tallies = tallies

    async def prepare(self) -> None:
        """Create the indexes."""
        for keys in INDEXES:
            await self._rows.create_index([(key, 1) for key in keys])

    async def page(self, query: CampaignQuery, projection: Document) -> tuple[list[Document], int]:
        """The page's documents, and the total, of one snapshot."""
        async with (
            await self._client.start_session() as session,
            session.start_transaction(read_concern=ReadConcern("snapshot")),
        ):
            tallies, tallies_read = await self._tallies.read(query.org, session)
            total = total_of(tallies, query.status, query.type)
            if query.words is None:
                parts = list(stretches(query, tallies))
            else:
                parts, total = await self._found(query, total, session)
            ids = [campaign_id for part in parts for campaign_id in await self._stretch(part, session)]
            rows = self._rows.find({"_id": {"$in": ids}}, projection, session=session)
            by_id = {row["_id"]: row async for row in rows}
        if tallies_read > ROWS_TO_FOLD:
            await self._tallies.fold(query.org)
        return [by_id[campaign_id] for campaign_id in ids], total

    async def _found(self, query: CampaignQuery, members: int, session: Session) -> tuple[list[Stretch], int]:
        """Where in its matches the page is, and how many there are: the one thing that is counted."""
        part = found_stretch(query)
        size = await self._rows.count_documents(matches_find(part).filter, session=session)
        take = min(part.take, size - part.skip)
        return [replace(part, size=size, take=take, members=members)] if take > 0 else [], size

    async def _stretch(self, stretch: Stretch, session: Session) -> list[str]:
        if stretch.skip > stretch.size - stretch.depth:
            return (await self._stretch(stretch.from_the_other_end(), session))[::-1]
        bound = await self._bound(stretch, session) if stretch.size > SMALL else None
        if bound is not None:
            ids = await self._ids(walk_find(stretch, bound), session)
            if len(ids) == stretch.take:
                return ids
        return await self._ids(matches_find(stretch) if stretch.terms else walk_find(stretch, {}), session)

    async def _bound(self, stretch: Stretch, session: Session) -> Document | None:
        """A condition that all rows up to the stretch's end are likely to meet; None: there is none."""
        find, key = sample_find(stretch), stretch.key or "_id"
        members = stretch.size if stretch.members is None else stretch.members
        to_read = (find.skip + 1) * SAMPLED * members // stretch.size
        if to_read >= stretch.size or (key != "_id" and key not in SORT_KEYS.values()):
            return None
        found = await self._run(find, session)
        if not found:
            return None
        value: Any = found[0]
        for name in key.split("."):
            value = value[name]
        if value in (_UNSET_NUMBER, _UNSET_TIME) and not stretch.descending:
            return {key: value, "_id": {"$lte": found[0]["_id"]}}  # many are not set, and these come first
        return {key: {"$gte" if stretch.descending else "$lte": value}}

    async def _ids(self, find: Find, session: Session) -> list[str]:
        return [row["_id"] for row in await self._run(find, session)]

    async def _run(self, find: Find, session: Session) -> list[Document]:
        cursor = self._rows.find(find.filter, find.projection, session=session).sort(find.order)
        return await cursor.skip(find.skip).limit(find.limit).to_list(find.limit)
