"""Totals and pages while campaigns come, go and move: both of one moment, and nothing twice."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, get_args

import pytest
from campaign_service.adapters import campaign_listing
from campaign_service.adapters.campaign_listing import total_of
from campaign_service.adapters.campaign_tallies import COLLECTION as TALLIES
from campaign_service.adapters.campaign_tallies import MongoTallies
from campaign_service.adapters.mongo_campaigns import COLLECTION
from campaign_service.application.parts import ApiParts
from campaign_service.application.ports import CampaignQuery
from campaign_service.domain.campaign import Campaign
from contracts.events.campaign import CampaignStatus, CampaignType
from motor.motor_asyncio import AsyncIOMotorDatabase
from service_kit.ports import Tx

pytestmark = pytest.mark.integration
Database = AsyncIOMotorDatabase[dict[str, Any]]
New = Callable[..., Campaign]
STATUSES: tuple[CampaignStatus, ...] = get_args(CampaignStatus)
TYPES: tuple[CampaignType, ...] = get_args(CampaignType)


async def store(parts: ApiParts, rows: list[Campaign]) -> None:
    for first in range(0, len(rows), 100):

        async def work(tx: Tx, batch: list[Campaign] = rows[first : first + 100]) -> None:
            for row in batch:
                await parts.campaigns.add(tx, row)

        await parts.transactions.run(work)


@dataclass
class Writer:
    """Creates, moves and deletes campaigns of its own, one after the other."""

    parts: ApiParts
    new_campaign: New
    name: str
    created: int = 0
    deleted: int = 0

    async def live(self, steps: int) -> None:
        chance = random.Random(self.name)
        mine: list[Campaign] = []
        for number in range(steps):
            if not mine or chance.random() < 0.5:
                row = self.new_campaign(id=f"camp_{self.name}_{number}")
                await self._do(lambda tx, row=row: self.parts.campaigns.add(tx, row))
                mine.append(row)
                self.created += 1
            elif chance.random() < 0.5:
                place = chance.randrange(len(mine))
                old = mine[place]
                definition = replace(old.definition, type=chance.choice(TYPES))
                status = chance.choice(STATUSES)
                new = replace(old, version=old.version + 1, status=status, definition=definition)
                await self._do(
                    lambda tx, old=old, new=new: self.parts.campaigns.save(
                        tx, new, expected_version=old.version
                    )
                )
                mine[place] = new
            else:
                row = mine.pop(chance.randrange(len(mine)))
                await self._do(
                    lambda tx, row=row: self.parts.campaigns.remove(
                        tx, row.org, row.id, expected_version=row.version
                    )
                )
                self.deleted += 1

    async def _do(self, work: Callable[..., Awaitable[None]]) -> None:
        await self.parts.transactions.run(work)


async def test_totals_and_pages_are_of_one_moment_while_writes_go_on(
    parts: ApiParts, new_campaign: New, mongo_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(campaign_listing, "ROWS_TO_FOLD", 16)
    still = [new_campaign(id=f"camp_still_{number:03}", status="completed") for number in range(60)]
    await store(parts, still)
    writers = [Writer(parts, new_campaign, f"w{number}") for number in range(4)]
    running = asyncio.gather(*(writer.live(60) for writer in writers))

    def committed() -> tuple[int, int]:
        """Created and deleted so far; each writer may have one more that it does not know of yet."""
        return sum(writer.created for writer in writers), sum(writer.deleted for writer in writers)

    reads = 0
    while not running.done():
        query = CampaignQuery("acme", limit=100, sort="status", status=STATUSES[reads % 5])
        created, deleted = committed()
        every = await parts.campaigns.page(CampaignQuery("acme", limit=100, sort="name", descending=False))
        created_since, deleted_since = committed()
        assert 60 + created - deleted_since - len(writers) <= every.total
        assert every.total <= 60 + created_since + len(writers) - deleted
        some = await parts.campaigns.page(query)
        for page in (every, some):
            assert len(page.items) == min(page.total, 100)
            assert len({row.id for row in page.items}) == len(page.items)
        reads += 1
    await running
    assert reads > 5
    created, deleted = committed()
    left = 60 + created - deleted
    assert (await parts.campaigns.page(CampaignQuery("acme"))).total == left
    assert await mongo_database[COLLECTION].count_documents({"org": "acme"}) == left
    for status, type_ in product(STATUSES, TYPES):
        total = (await parts.campaigns.page(CampaignQuery("acme", status=status, type=type_))).total
        assert total == await mongo_database[COLLECTION].count_documents({"status": status, "type": type_})


async def test_rows_that_do_not_move_are_never_repeated_or_missed_across_pages_that_others_move(
    parts: ApiParts, new_campaign: New
) -> None:
    """The others sort behind them, so what happens there moves none of these."""
    still = [new_campaign(id=f"camp_a_{number:03}") for number in range(50)]
    await store(parts, still)
    writer = Writer(parts, new_campaign, "z")
    running = asyncio.create_task(writer.live(60))
    while not running.done():
        seen: list[str] = []
        for number in range(1, 6):
            query = CampaignQuery("acme", page=number, limit=10, sort="name", descending=False)
            seen += [row.id for row in (await parts.campaigns.page(query)).items]
        assert seen == [row.id for row in still]
    await running


async def test_folding_changes_no_total_however_many_fold_at_once(
    parts: ApiParts, new_campaign: New, mongo_client: Any, mongo_database: Database
) -> None:
    await store(parts, [new_campaign(id=f"camp_{number}") for number in range(120)])
    tallies = MongoTallies(mongo_database)

    async def read() -> tuple[Any, int]:
        async with await mongo_client.start_session() as session:
            return await tallies.read("acme", session)

    before, rows = await read()
    assert rows == 120
    await asyncio.gather(*(tallies.fold("acme") for _ in range(5)))
    after, rows = await read()
    assert after == before
    assert rows == 1
    assert total_of(after, None, None) == 120
    assert await mongo_database[TALLIES].count_documents({}) == 1
