"""In-memory versions of this service's ports, held to the same conformance suites as the real ones."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from campaign_service.application.ports import (
    Bot,
    CampaignQuery,
    Forecast,
    Page,
    PreflightAnswer,
    PreflightQuery,
)
from campaign_service.domain.campaign import Campaign, Statistics
from campaign_service.domain.definition import Definition, Message, TargetAudience
from campaign_service.domain.errors import VersionConflict
from campaign_service.domain.search import matches
from campaign_service.domain.template import Template
from contracts.events.campaign import ExecutionSnapshot
from service_kit.ports import Tx
from service_kit.testing.fakes import (
    FixedClock,
    InMemoryInbox,
    InMemoryOutbox,
    InMemoryTransactions,
    staged,
)

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


class InMemoryCampaigns:
    """The port `Campaigns` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, Campaign] = {}
        self._estimated: dict[str, datetime] = {}
        self._revision: dict[str, int] = {}

    async def add(self, tx: Tx, campaign: Campaign) -> None:
        staged(tx, lambda: self.rows.update({campaign.id: campaign}))

    async def get(self, org: str, campaign_id: str, *, tx: Tx | None = None) -> Campaign | None:
        found = self.rows.get(campaign_id)
        return found if found is not None and found.org == org else None

    async def save(self, tx: Tx, campaign: Campaign, *, expected_version: int) -> None:
        stored = await self.get(campaign.org, campaign.id)
        if stored is None or stored.version != expected_version:
            raise VersionConflict
        numbers = {"total_count": stored.total_count, "statistics": stored.statistics}
        staged(tx, lambda: self.rows.update({campaign.id: replace(campaign, **numbers)}))

    async def remove(self, tx: Tx, org: str, campaign_id: str, *, expected_version: int) -> None:
        stored = await self.get(org, campaign_id)
        if stored is None or stored.version != expected_version:
            raise VersionConflict
        staged(tx, lambda: self.rows.pop(campaign_id))

    async def due(self, now: datetime, *, limit: int) -> list[tuple[str, str]]:
        waiting = [
            (row.due_at, row.org, row.id)
            for row in self.rows.values()
            if row.due_at is not None and row.due_at <= now
        ]
        return [(org, campaign_id) for _, org, campaign_id in sorted(waiting)][:limit]

    async def taken_names(self, org: str, names: Collection[str]) -> set[str]:
        return {row.definition.name for row in self.rows.values() if row.org == org} & set(names)

    async def page(self, query: CampaignQuery) -> Page[Campaign]:
        if query.words == ():
            return Page([], 0)
        found = [row for row in self.rows.values() if _matches(row, query)]
        found.sort(key=lambda row: _sort_key(row, query.sort), reverse=query.descending)
        first = (query.page - 1) * query.limit
        rows = [
            replace(row, definition=replace(row.definition, messages=()))
            for row in found[first : first + query.limit]
        ]
        return Page(rows, len(found))

    async def note_audience(self, org: str, campaign_id: str, *, total_count: int, at: datetime) -> None:
        stored = await self.get(org, campaign_id)
        if stored is not None and self._estimated.get(campaign_id, at) <= at:
            self._estimated[campaign_id] = at
            self.rows[campaign_id] = replace(stored, total_count=total_count)

    async def note_statistics(
        self, org: str, campaign_id: str, *, statistics: Statistics, revision: int
    ) -> None:
        stored = await self.get(org, campaign_id)
        if stored is not None and self._revision.get(campaign_id, 0) < revision:
            self._revision[campaign_id] = revision
            self.rows[campaign_id] = replace(stored, statistics=statistics)


def _matches(row: Campaign, query: CampaignQuery) -> bool:
    text = f"{row.definition.name} {row.definition.description or ''}"
    return (
        row.org == query.org
        and query.status in (None, row.status)
        and query.type in (None, row.definition.type)
        and matches(query.words or (), text)
    )


def _sort_key(row: Campaign, field: str) -> tuple[Any, ...]:
    definition = row.definition
    value: Any = {
        "name": definition.name,
        "status": row.status,
        "type": definition.type,
        "budget": definition.budget,
        "startDate": definition.start_date,
        "endDate": definition.end_date,
        "createdAt": row.created_at,
        "updatedAt": row.updated_at,
    }[field]
    return (value is not None, value, row.id) if value is not None else (False, 0, row.id)


class InMemoryTemplates:
    """The port `Templates` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, Template] = {}

    async def add(self, tx: Tx, template: Template) -> None:
        staged(tx, lambda: self.rows.update({template.id: template}))

    async def save(self, template: Template, *, expected_version: int) -> None:
        await self._expect(template.org, template.id, expected_version)
        self.rows[template.id] = template

    async def remove(self, org: str, template_id: str, *, expected_version: int) -> None:
        await self._expect(org, template_id, expected_version)
        del self.rows[template_id]

    async def _expect(self, org: str, template_id: str, version: int) -> None:
        stored = await self.get(org, template_id)
        if stored is None or stored.version != version:
            raise VersionConflict

    async def get(self, org: str, template_id: str) -> Template | None:
        found = self.rows.get(template_id)
        return found if found is not None and found.org == org else None

    async def get_many(self, org: str, template_ids: Collection[str]) -> Mapping[str, Template]:
        return {key: row for key, row in self.rows.items() if key in template_ids and row.org == org}

    async def page(self, org: str, *, page: int, limit: int) -> Page[Template]:
        found = [row for row in self.rows.values() if row.org == org]
        found.sort(key=lambda row: (row.created_at, row.id), reverse=True)
        return Page(found[(page - 1) * limit : page * limit], len(found))


class ScriptedPreflight:
    """Answers what a test tells it to; `during` runs while the question is under way."""

    def __init__(self) -> None:
        self.answer: PreflightAnswer | Exception = PreflightAnswer(
            total_count=100, targeted=100, bots=(Bot("bot_1", "Bot", 10, 100),), testers=2
        )
        self.asked: list[PreflightQuery] = []
        self.forecast = Forecast(100, {"OPTED_OUT": 20, "MISSING_FIELD": 5}, 8.4, 0.75)
        self.foretold: list[tuple[ExecutionSnapshot, datetime]] = []
        self.during: Callable[[], None] = lambda: None

    async def ask(self, query: PreflightQuery) -> PreflightAnswer:
        self.asked.append(query)
        self.during()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def foretell(self, org: str, snapshot: ExecutionSnapshot, *, begin: datetime) -> Forecast:
        self.foretold.append((snapshot, begin))
        return self.forecast


def make_campaign(**changes: Any) -> Campaign:
    """A draft that can be executed."""
    definition = Definition(
        name="Summer Sale",
        target_audience=TargetAudience(("seg123",)),
        messages=(Message(id="msg_1", content="Hello"),),
    )
    campaign = Campaign(
        id="camp_1",
        org="acme",
        version=1,
        status="draft",
        definition=definition,
        sampling_seed="camp_1",
        created_by="user",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(campaign, **changes)


def make_template(**changes: Any) -> Template:
    """A template."""
    template = Template(
        id="tmpl_1",
        org="acme",
        name="T",
        content="Hi {{firstName|there}}",
        parse_mode="HTML",
        created_at=NOW,
        updated_at=NOW,
    )
    return replace(template, **changes)


@dataclass
class World:
    """All fakes together."""

    campaigns: InMemoryCampaigns
    templates: InMemoryTemplates
    preflight: ScriptedPreflight
    transactions: InMemoryTransactions
    outbox: InMemoryOutbox
    inbox: InMemoryInbox
    clock: FixedClock


@pytest.fixture
def world() -> World:
    """A world without any campaign, at noon on the first of June 2024."""
    return World(
        campaigns=InMemoryCampaigns(),
        templates=InMemoryTemplates(),
        preflight=ScriptedPreflight(),
        transactions=InMemoryTransactions(),
        outbox=InMemoryOutbox(),
        inbox=InMemoryInbox(),
        clock=FixedClock(NOW),
    )


@pytest.fixture
def new_campaign() -> Callable[..., Campaign]:
    """Makes a draft that can be executed, with the fields given changed."""
    return make_campaign


@pytest.fixture
def new_template() -> Callable[..., Template]:
    """Makes a template, with the fields given changed."""
    return make_template
