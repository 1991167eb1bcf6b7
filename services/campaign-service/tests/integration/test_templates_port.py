"""What every implementation of the port `Templates` keeps to: the fake and MongoDB alike."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from campaign_service.application.ports import Templates
from campaign_service.domain.template import Template

pytestmark = pytest.mark.integration


@pytest.fixture(params=["memory", "mongo"])
def templates(request: pytest.FixtureRequest, world: Any) -> Any:
    """The port."""
    return world.templates if request.param == "memory" else request.getfixturevalue("parts").templates


async def test_templates_come_back_to_their_own_org_only(
    templates: Templates, new_template: Callable[..., Template]
) -> None:
    mine, other = new_template(), new_template(id="tmpl_2", org="other")
    await templates.add(mine)
    await templates.add(other)
    assert await templates.get("acme", "tmpl_1") == mine
    assert await templates.get("acme", "tmpl_2") is None
    assert await templates.get_many("acme", {"tmpl_1", "tmpl_2", "tmpl_3"}) == {"tmpl_1": mine}


async def test_pages_show_the_newest_first(
    templates: Templates, new_template: Callable[..., Template]
) -> None:
    start = new_template().created_at
    for number in range(5):
        await templates.add(
            new_template(id=f"tmpl_{number}", created_at=start + timedelta(seconds=number // 2))
        )
    pages = [await templates.page("acme", page=page, limit=2) for page in (1, 2, 3, 4)]
    assert [row.id for page in pages for row in page.items] == [f"tmpl_{n}" for n in (4, 3, 2, 1, 0)]
    assert {page.total for page in pages} == {5}
