"""What every implementation of the port `Campaigns` keeps to: the fake and MongoDB alike."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, get_args

import pytest
from campaign_service.application.ports import CampaignQuery, Campaigns, SortField
from campaign_service.domain.campaign import Campaign, Statistics
from campaign_service.domain.definition import (
    AbTest,
    Definition,
    Goals,
    Message,
    Personalization,
    QuietHours,
    Strategy,
    TargetAudience,
    Variation,
    Workflow,
)
from campaign_service.domain.errors import VersionConflict
from campaign_service.domain.execution import Options, Outcome, TestRun
from service_kit.ports import Transactions, Tx

pytestmark = pytest.mark.integration
New = Callable[..., Campaign]


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest, world: Any) -> tuple[Campaigns, Transactions]:
    """The port, and the transactions that go with it."""
    if request.param == "memory":
        return world.campaigns, world.transactions
    parts = request.getfixturevalue("parts")
    return parts.campaigns, parts.transactions


Store = tuple[Campaigns, Transactions]


async def add(store: Store, *rows: Campaign) -> None:
    campaigns, transactions = store

    async def work(tx: Tx) -> None:
        for row in rows:
            await campaigns.add(tx, row)

    await transactions.run(work)


async def save(store: Store, campaign: Campaign, *, expected_version: int) -> None:
    campaigns, transactions = store

    async def work(tx: Tx) -> None:
        await campaigns.save(tx, campaign, expected_version=expected_version)

    await transactions.run(work)


async def test_a_campaign_comes_back_as_it_was(store: Store, new_campaign: New) -> None:
    now = new_campaign().created_at
    definition = Definition(
        name="Été 🌞",
        description="مبيعات",
        goals=Goals(10_000, 5.5, 50_000),
        target_audience=TargetAudience(
            ("seg1", "seg2"), {"age_range": [1, 2], "some.Key": {"min": 2.5}, "location": ["US"]}, ("seg9",)
        ),
        strategy=Strategy(
            "discounts",
            "peak hours",
            ("telegram",),
            "bot_1",
            quiet_hours=QuietHours("21:30", "08:00"),
            timezone_mode="org",
        ),
        messages=(
            Message(
                id="msg_1",
                template_id="tmpl_1",
                content="Hi",
                parse_mode="HTML",
                personalization=Personalization(True, ("firstName",)),
                variations=(Variation("var_1", "Ho", 50),),
            ),
        ),
        workflow=Workflow("wf_1", "Flow", ("manual", "scheduled")),
        ab_tests=(AbTest("ab_1", "Test"),),
        budget=5000,
        start_date=now,
        end_date=now + timedelta(days=1),
    )
    campaign = new_campaign(
        definition=definition, baseline=Statistics(1, 1, 0, 5, 2, 2.5), test=TestRun("exec_t", False)
    ).start("exec_1", Options(12.5, "high"), steps=1, now=now)
    await add(store, campaign)
    assert await store[0].get("acme", "camp_1") == campaign
    ended = campaign.complete(Outcome(9, 8, 1, 0, 0, now), now=now)
    await save(store, ended, expected_version=2)
    assert await store[0].get("acme", "camp_1") == ended
    assert await store[0].get("other", "camp_1") is None


async def test_saving_needs_the_version_that_was_read_and_keeps_the_numbers(
    store: Store, new_campaign: New
) -> None:
    campaign = new_campaign()
    await add(store, campaign)
    await store[0].note_audience("acme", "camp_1", total_count=7, at=campaign.created_at)
    started = campaign.start("exec_1", Options(), steps=1, now=campaign.created_at)
    await save(store, started, expected_version=1)
    stored = await store[0].get("acme", "camp_1")
    assert stored == replace(started, total_count=7)
    with pytest.raises(VersionConflict):
        await save(store, started, expected_version=1)
    with pytest.raises(VersionConflict):
        await save(store, replace(started, org="other"), expected_version=2)


async def test_numbers_only_get_newer_and_change_nothing_else(store: Store, new_campaign: New) -> None:
    campaigns, campaign = store[0], new_campaign()
    await add(store, campaign)
    young, old = campaign.created_at + timedelta(seconds=1), campaign.created_at
    await campaigns.note_audience("acme", "camp_1", total_count=8500, at=young)
    await campaigns.note_audience("acme", "camp_1", total_count=1, at=old)
    new, stale = Statistics(100, 45, 2, 4500, 225, 2250.5), Statistics(total_tasks=1)
    await campaigns.note_statistics("acme", "camp_1", statistics=new, revision=2)
    await campaigns.note_statistics("acme", "camp_1", statistics=stale, revision=2)
    await campaigns.note_statistics("acme", "camp_1", statistics=stale, revision=1)
    await campaigns.note_statistics("other", "camp_1", statistics=stale, revision=9)
    await campaigns.note_audience("acme", "camp_unknown", total_count=1, at=young)
    assert await campaigns.get("acme", "camp_1") == replace(campaign, total_count=8500, statistics=new)
    assert await campaigns.get("acme", "camp_unknown") is None


@pytest.mark.parametrize("descending", [True, False])
async def test_pages_in_every_order_show_each_campaign_once(
    store: Store, new_campaign: New, descending: bool
) -> None:
    rows = [
        new_campaign(
            id=f"camp_{number}",
            definition=replace(new_campaign().definition, name=f"C{number % 3}", budget=number % 2 or None),
        )
        for number in range(7)
    ]
    await add(store, *rows, new_campaign(id="camp_other", org="other"))
    for field in get_args(SortField):
        shown: list[Campaign] = []
        for page in range(1, 5):
            query = CampaignQuery("acme", page=page, limit=2, sort=field, descending=descending)
            found = await store[0].page(query)
            assert found.total == 7
            shown += found.items
        assert sorted(row.id for row in shown) == [row.id for row in rows]
        assert all(row.definition.messages == () for row in shown)
    keys = [(row.definition.name, row.id) for row in await names(store[0], descending)]
    assert keys == sorted(keys, reverse=descending)


async def names(campaigns: Campaigns, descending: bool) -> list[Campaign]:
    return (await campaigns.page(CampaignQuery("acme", limit=100, sort="name", descending=descending))).items


async def test_filters_and_search_work_together(store: Store, new_campaign: New) -> None:
    base = new_campaign().definition
    summer = replace(base, name="Summer Sale", description="Promotional campaign")
    await add(
        store,
        new_campaign(id="camp_a", definition=summer),
        new_campaign(id="camp_b", definition=replace(summer, type="engagement")),
        new_campaign(id="camp_c", definition=summer, status="active"),
        new_campaign(id="camp_d", definition=replace(base, name="Winter Sale")),
        new_campaign(id="camp_e", definition=summer, org="other"),
    )

    async def ids(**conditions: Any) -> list[str]:
        query = CampaignQuery("acme", sort="name", descending=False, **conditions)
        found = await store[0].page(query)
        assert found.total == len(found.items)
        return [row.id for row in found.items]

    assert await ids(words=("sal",)) == ["camp_a", "camp_b", "camp_c", "camp_d"]
    assert await ids(words=("promo", "summer")) == ["camp_a", "camp_b", "camp_c"]
    assert await ids(words=("summer",), status="draft", type="message") == ["camp_a"]
    assert await ids(words=("summer", "winter")) == []
    assert await ids(words=()) == []


async def test_a_change_keeps_the_search_words_in_step(store: Store, new_campaign: New) -> None:
    await add(store, new_campaign())
    renamed = new_campaign(version=2, definition=replace(new_campaign().definition, name="Autumn"))
    await save(store, renamed, expected_version=1)
    assert (await store[0].page(CampaignQuery("acme", words=("autu",)))).total == 1
    assert (await store[0].page(CampaignQuery("acme", words=("summer",)))).total == 0


async def test_removing_needs_the_version_that_was_read(store: Store, new_campaign: New) -> None:
    campaigns, transactions = store
    await add(store, new_campaign(version=3))
    for org, version in [("acme", 2), ("other", 3)]:
        with pytest.raises(VersionConflict):
            await transactions.run(partial(remove, campaigns, org, version))
    await transactions.run(partial(remove, campaigns, "acme", 3))
    assert await campaigns.get("acme", "camp_1") is None


async def remove(campaigns: Campaigns, org: str, version: int, tx: Tx) -> None:
    await campaigns.remove(tx, org, "camp_1", expected_version=version)


async def test_due_are_those_whose_time_has_come_and_who_are_not_held(
    store: Store, new_campaign: New
) -> None:
    campaigns, now = store[0], new_campaign().created_at
    waiting = {
        f"camp_{number}": new_campaign(id=f"camp_{number}").schedule(
            "exec_1", now + timedelta(seconds=number), Options(), now=now
        )
        for number in range(4)
    }
    await add(store, *waiting.values(), new_campaign(id="camp_9"))
    assert await campaigns.due(now + timedelta(seconds=2), limit=10) == [
        ("acme", "camp_0"),
        ("acme", "camp_1"),
        ("acme", "camp_2"),
    ]
    assert await campaigns.due(now + timedelta(seconds=9), limit=1) == [("acme", "camp_0")]
    held = waiting["camp_0"].pause(now=now)
    await save(store, held, expected_version=2)
    await save(store, waiting["camp_1"].begin(steps=1, now=now), expected_version=2)
    assert await campaigns.due(now + timedelta(seconds=2), limit=10) == [("acme", "camp_2")]
    await save(store, held.resume(now=now), expected_version=3)
    assert await campaigns.due(now, limit=10) == [("acme", "camp_0")]


async def test_taken_names_are_those_of_the_org(store: Store, new_campaign: New) -> None:
    await add(store, new_campaign(), new_campaign(id="camp_2", org="other"))
    assert await store[0].taken_names("acme", ["Summer Sale", "Winter"]) == {"Summer Sale"}
    assert await store[0].taken_names("rival", ["Summer Sale"]) == set()
