"""Campaigns by the hundred thousand, straight into MongoDB, for whoever measures lists.

Mental model: row n of a seed is always the same campaign, made by the service's own code, so a stored
row is what the API would have stored. Statuses, types, times and words are spread as in an org that
has used the product for two years: most campaigns are completed messages, and a few words are common.

    .venv/bin/python benchmarks/campaign_rows.py --mongo-url "mongodb://127.0.0.1:27017/?directConnection=true"

fills the database `campaign-service` with 1,000,000 campaigns, 200,000 of them in the org `acme` and
the others in 400 orgs. Add to an empty database: the rows of one seed have the same ids every time.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from campaign_service.adapters.campaign_tallies import COLLECTION as TALLIES
from campaign_service.adapters.campaign_tallies import Cell, cell_of, tally_document
from campaign_service.adapters.documents import campaign_document
from campaign_service.adapters.mongo_campaigns import COLLECTION, MongoCampaigns
from campaign_service.domain.campaign import Campaign
from campaign_service.domain.definition import Definition, Goals, Message, Strategy, TargetAudience
from contracts.events.campaign import CampaignStatus, CampaignType
from service_kit.mongo.client import Database, connect

ORG = "acme"
BEGINNING = datetime(2024, 11, 1, tzinfo=UTC)
DAYS = 730
STATUSES: dict[CampaignStatus, int] = {
    "draft": 20, "active": 10, "paused": 5, "completed": 55, "cancelled": 10,
}  # fmt: skip
TYPES: dict[CampaignType, int] = {
    "message": 60, "invitation": 10, "data_collection": 10, "engagement": 15, "custom": 5,
}  # fmt: skip
_TEXT = """
summer winter autumn spring sale black friday cyber monday promotion campaign discount offer launch
product newsletter reminder loyal customer premium member welcome event invitation survey feedback
quick holiday gift bonus cashback coupon code limited weekend flash clearance collection fashion
shoes jackets electronics games books travel hotel flights berlin london paris madrid warsaw tokyo
delhi austin early access beta preview insider weekly monthly digest update notice webinar workshop
contest challenge raffle prize winner community
"""
WORDS = _TEXT.split()
"""The n-th is met about 1/n as often as the first."""
BATCH = 500


def campaign_rows(count: int, *, seed: int, org_of: Callable[[int], str]) -> Iterator[Campaign]:
    """The first `count` campaigns of a seed; `org_of` says whose the n-th is."""
    chance = random.Random(seed)  # noqa: S311 - the same rows every time, not secrets
    frequencies = [1 / (place + 1) for place in range(len(WORDS))]
    statuses = chance.choices(list(STATUSES), list(STATUSES.values()), k=count)
    types = chance.choices(list(TYPES), list(TYPES.values()), k=count)
    for number in range(count):
        created = BEGINNING + timedelta(seconds=chance.uniform(0, DAYS * 86_400))
        start = created + timedelta(days=chance.randrange(90)) if chance.random() < 0.8 else None
        picked = chance.choices(WORDS, frequencies, k=chance.randrange(6, 20))
        definition = replace(
            _PATTERN.definition,
            name=" ".join([*picked[:3], str(number)]).title(),
            description=" ".join(picked[3:]),
            type=types[number],
            budget=float(chance.randrange(1, 20_000)) if chance.random() < 0.8 else None,
            start_date=start,
            end_date=None if start is None else start + timedelta(days=30),
        )
        yield replace(
            _PATTERN,
            id=f"camp_{seed:02}{chance.getrandbits(96):024X}",
            org=org_of(number),
            status=statuses[number],
            definition=definition,
            created_at=created,
            updated_at=created + timedelta(seconds=chance.uniform(0, 90 * 86_400)),
        )


_PATTERN = Campaign(
    id="camp_",
    org=ORG,
    version=3,
    status="draft",
    definition=Definition(
        name="",
        goals=Goals(20_000, 5, 50_000),
        target_audience=TargetAudience(("premium", "newsletter")),
        strategy=Strategy("Discounts", "Peak hours", ("telegram",)),
        messages=(Message(id="msg_1", content="Hello {{firstName|there}}! " * 20, parse_mode="HTML"),),
    ),
    sampling_seed="camp_",
    created_by="user-1",
    created_at=BEGINNING,
    updated_at=BEGINNING,
)


def orgs(first: int) -> Callable[[int], str]:
    """The first rows are ORG's, the others of 400 orgs in turn."""
    return lambda number: ORG if number < first else f"org-{number % 400}"


async def fill(
    database: Database, rows: Iterator[Campaign], *, said: Callable[[int], None] = lambda _: None
) -> None:
    """Store `rows` and what the service keeps beside them; `said` hears how many there are so far.

    The indexes come first: the MongoDB-compatible server of `make up` does not build one on a million rows.
    """
    await MongoCampaigns(database).prepare()
    tallies: defaultdict[str, Counter[Cell]] = defaultdict(Counter)
    stored = 0
    while batch := list(islice(rows, BATCH)):
        await database[COLLECTION].insert_many([campaign_document(row) for row in batch], ordered=False)
        for row in batch:
            tallies[row.org][cell_of(row.status, row.definition.type)] += 1
        stored += len(batch)
        said(stored)
    await database[TALLIES].insert_many([tally_document(org, counts) for org, counts in tallies.items()])


async def main() -> None:
    """Fill the database the command line names."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--mongo-url", required=True)
    parser.add_argument("--database", default="campaign-service")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--first-org", type=int, default=200_000, help=f"how many of them are {ORG}'s")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    client, began = connect(options.mongo_url, timeout_ms=30_000), time.monotonic()

    def said(stored: int) -> None:
        sys.stderr.write(f"\r{stored:>9,} campaigns, {time.monotonic() - began:,.0f} s")

    rows = campaign_rows(options.count, seed=options.seed, org_of=orgs(options.first_org))
    await fill(client[options.database], rows, said=said)
    sys.stderr.write("\n")


if __name__ == "__main__":
    asyncio.run(main())
