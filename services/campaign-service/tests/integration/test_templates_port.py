"""What every implementation of the port `Templates` keeps to: the fake and MongoDB alike."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.ports import Templates
from campaign_service.domain.errors import VersionConflict
from campaign_service.domain.template import Template
from service_kit.ports import Transactions, Tx

pytestmark = pytest.mark.integration
Store = tuple[Templates, Transactions]
New = Callable[..., Template]


@pytest.fixture(params=["memory", "mongo"])
def store(request: pytest.FixtureRequest, world: Any) -> Store:
    """The port, and the transactions that go with it."""
    kept = world if request.param == "memory" else request.getfixturevalue("parts")
    return kept.templates, kept.transactions


async def add(store: Store, template: Template) -> None:
    templates, transactions = store

    async def work(tx: Tx) -> None:
        await templates.add(tx, template)

    await transactions.run(work)


async def test_templates_come_back_to_their_own_org_only(store: Store, new_template: New) -> None:
    templates, _ = store
    mine, other = new_template(), new_template(id="tmpl_2", org="other")
    await add(store, mine)
    await add(store, other)
    assert await templates.get("acme", "tmpl_1") == mine
    assert await templates.get("acme", "tmpl_2") is None
    assert await templates.get_many("acme", {"tmpl_1", "tmpl_2", "tmpl_3"}) == {"tmpl_1": mine}


async def test_pages_show_the_newest_first(store: Store, new_template: New) -> None:
    templates, _ = store
    start = new_template().created_at
    for number in range(5):
        await add(store, new_template(id=f"tmpl_{number}", created_at=start + timedelta(seconds=number // 2)))
    pages = [await templates.page("acme", page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [row.id for page in pages for row in page.items] == [f"tmpl_{n}" for n in (4, 3, 2, 1, 0)]
    assert {page.total for page in pages} == {5}


async def test_a_template_changes_and_goes_only_from_the_version_that_was_read(
    store: Store, new_template: New
) -> None:
    templates, _ = store
    await add(store, new_template())
    changed = new_template(content="New", version=2)
    await templates.save(changed, expected_version=1)
    assert await templates.get("acme", "tmpl_1") == changed
    for stale in (
        templates.save(changed, expected_version=1),
        templates.remove("acme", "tmpl_1", expected_version=1),
    ):
        with pytest.raises(VersionConflict):
            await stale
    with pytest.raises(VersionConflict):
        await templates.remove("other", "tmpl_1", expected_version=2)
    await templates.remove("acme", "tmpl_1", expected_version=2)
    assert await templates.get("acme", "tmpl_1") is None
