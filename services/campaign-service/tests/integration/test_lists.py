"""Lists on a real database: the same rows as a brute-force sort, by plans that neither scan nor sort."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, get_args

import pytest
from campaign_service.adapters import campaign_listing
from campaign_service.adapters.campaign_listing import (
    Find,
    found_stretch,
    matches_find,
    sample_find,
    stretches,
    walk_find,
)
from campaign_service.adapters.campaign_tallies import cell_of
from campaign_service.adapters.mongo_campaigns import COLLECTION
from campaign_service.application.parts import ApiParts
from campaign_service.application.ports import CampaignQuery, SortField
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.search import matches
from contracts.events.campaign import CampaignStatus, CampaignType
from motor.motor_asyncio import AsyncIOMotorDatabase
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
New = Callable[..., Campaign]
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
STATUSES: tuple[CampaignStatus, ...] = get_args(CampaignStatus)
TYPES: tuple[CampaignType, ...] = get_args(CampaignType)
SORTS: tuple[SortField, ...] = get_args(SortField)
COMBINATIONS = list(product((None, *STATUSES), (None, *TYPES), SORTS, (True, False)))
SEARCHES: tuple[tuple[str, ...] | None, ...] = (None, ("sum",), ("s",), ("win", "sal"), ("été",), ("nobody",))
WORDS = ("summer", "winter", "sale", "salad", "sun", "été", "étage", "party")


@pytest.fixture(autouse=True)
def small_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists of twenty rows are bounded by samples of every fourth row, as large ones are by default."""
    monkeypatch.setattr(campaign_listing, "SAMPLED", 4)
    monkeypatch.setattr(campaign_listing, "SMALL", 20)


def random_rows(new_campaign: New, count: int, *, org: str = "acme") -> list[Campaign]:
    """Campaigns with many equal sort keys, and many that are not set."""
    chance = random.Random(7)

    def moment() -> datetime:
        return NOON + timedelta(days=chance.randrange(20))

    def row(number: int) -> Campaign:
        start = moment() if chance.random() < 0.7 else None
        definition = replace(
            new_campaign().definition,
            name=" ".join(chance.choices(WORDS, k=2)),
            description=chance.choice([None, " ".join(chance.choices(WORDS, k=4))]),
            type=chance.choice(TYPES),
            budget=chance.choice([None, 0, 10, 10.5, 200]),
            start_date=start,
            end_date=None if start is None or chance.random() < 0.5 else start + timedelta(days=3),
        )
        return new_campaign(
            id=f"camp_{org}_{chance.getrandbits(40):010X}_{number}",
            org=org,
            definition=definition,
            status=chance.choice(STATUSES),
            created_at=moment(),
            updated_at=moment(),
        )

    return [row(number) for number in range(count)]


async def store(parts: ApiParts, rows: list[Campaign]) -> None:
    for first in range(0, len(rows), 100):

        async def work(tx: Tx, batch: list[Campaign] = rows[first : first + 100]) -> None:
            for row in batch:
                await parts.campaigns.add(tx, row)

        await parts.transactions.run(work)


def expected(rows: list[Campaign], query: CampaignQuery) -> list[str]:
    """What a sort of everything answers."""

    def key(row: Campaign) -> tuple[bool, Any, str]:
        definition = row.definition
        value = {
            "name": definition.name,
            "status": row.status,
            "type": definition.type,
            "budget": definition.budget,
            "startDate": definition.start_date,
            "endDate": definition.end_date,
            "createdAt": row.created_at,
            "updatedAt": row.updated_at,
        }[query.sort]
        return (value is not None, 0 if value is None else value, row.id)

    found = [
        row
        for row in rows
        if query.status in (None, row.status)
        and query.type in (None, row.definition.type)
        and (
            query.words is None or matches(query.words, f"{row.definition.name} {row.definition.description}")
        )
    ]
    return [row.id for row in sorted(found, key=key, reverse=query.descending)]


async def walked(parts: ApiParts, query: CampaignQuery) -> list[str]:
    """The ids of all pages, one after the other; every page tells the same total."""
    ids: list[str] = []
    number = 1
    while True:
        page = await parts.campaigns.page(replace(query, page=number))
        ids += [row.id for row in page.items]
        if not page.items:
            assert page.total == len(ids)
            return ids
        number += 1


@pytest.mark.parametrize("words", SEARCHES)
async def test_every_combination_walked_to_its_end_is_the_brute_force_order(
    parts: ApiParts, new_campaign: New, words: tuple[str, ...] | None
) -> None:
    rows = random_rows(new_campaign, 300)
    await store(parts, rows + random_rows(new_campaign, 50, org="other"))
    combinations = COMBINATIONS if words is None else random.Random(3).sample(COMBINATIONS, 40)
    for status, type_, sort, descending in combinations:
        query = CampaignQuery(
            "acme", limit=97, status=status, type=type_, sort=sort, descending=descending, words=words
        )
        assert await walked(parts, query) == expected(rows, query), query


async def test_a_bound_that_was_too_near_costs_a_second_query_and_no_row(
    parts: ApiParts, new_campaign: New, mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = random_rows(new_campaign, 200)
    await store(parts, rows)
    monkeypatch.setattr(
        campaign_listing, "sample_find", lambda stretch: replace(sample_find(stretch), skip=0)
    )
    for sort, descending in product(SORTS, (True, False)):
        query = CampaignQuery("acme", limit=30, sort=sort, descending=descending)
        assert await walked(parts, query) == expected(rows, query), query


def stages(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["stage"]
    for inner in [plan.get("inputStage"), *plan.get("inputStages", [])]:
        if inner is not None:
            yield from stages(inner)


async def explained(database: Database, find: Find) -> list[str]:
    cursor = database[COLLECTION].find(find.filter, find.projection).sort(find.order)
    answer = await cursor.skip(find.skip).limit(find.limit).explain()
    return list(stages(answer["queryPlanner"]["winningPlan"]))


async def test_the_server_plans_every_list_as_a_walk_in_order_and_no_search_as_a_scan(
    parts: ApiParts, new_campaign: New, mongo_database: Database
) -> None:
    """Whether a walk is covered is asked of the rules alone: the development server says of no array index
    that it covers, where MongoDB's own jstests/core/covered_multikey.js has these very plans."""
    await store(parts, random_rows(new_campaign, 100))
    tallies = {cell_of(status, type_): 100 for status, type_ in product(STATUSES, TYPES)}
    for status, type_, sort, descending in product((None, "paused"), (None, "custom"), SORTS, (True, False)):
        query = CampaignQuery("acme", status=status, type=type_, sort=sort, descending=descending)
        for stretch in stretches(query, tallies):
            bound = {stretch.key or "_id": {"$gte" if descending else "$lte": NOON}}
            for find in (walk_find(stretch, {}), walk_find(stretch, bound), sample_find(stretch)):
                names = await explained(mongo_database, find)
                assert "IXSCAN" in names, (query, names)
                assert not {"COLLSCAN", "SORT"} & set(names), (query, names)
        found = found_stretch(replace(query, words=("sum", "win")))
        for find in (matches_find(found), walk_find(found, bound), sample_find(found)):
            names = await explained(mongo_database, find)
            assert "IXSCAN" in names and "COLLSCAN" not in names, (query, names)
