"""In-memory versions of the audience's ports, held to the same conformance suites as the real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from contracts.events.campaign import AudienceDefinition
from execution_service.application.ports import CampaignAudience, KnownCampaign, Mark, Member
from execution_service.domain.audience import AudienceRule
from execution_service.domain.contact import Contact
from execution_service.domain.suppression import suppression
from service_kit.ports import Tx
from service_kit.testing.fakes import (
    FixedClock,
    InMemoryInbox,
    InMemoryOutbox,
    InMemoryTransactions,
    staged,
)

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)


class InMemoryContacts:
    """The port `Contacts` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, Contact] = {}

    async def get(self, org: str, contact_id: str, *, tx: Tx | None = None) -> Contact | None:
        return self.rows.get(f"{org}/{contact_id}")

    async def by_ids(self, org: str, ids: Sequence[str], *, tx: Tx | None = None) -> dict[str, Contact]:
        found = {contact_id: self.rows.get(f"{org}/{contact_id}") for contact_id in ids}
        return {contact_id: row for contact_id, row in found.items() if row is not None}

    async def insert(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        await self.replace(tx, contacts)

    async def replace(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        rows = {f"{contact.org}/{contact.contact_id}": contact for contact in contacts}
        staged(tx, lambda: self.rows.update(rows))

    async def walk(
        self, org: str, segment: str | None, *, after_key: str, limit: int, whole: bool = False
    ) -> list[Member]:
        found = [
            Member(key, row.contact_id, row.segments, row.tester, row if whole else None)
            for key, row in sorted(self.rows.items())
            if row.org == org and (segment is None or segment in row.segments) and key > after_key
        ]
        return found[:limit]

    async def count(
        self, org: str, rule: AudienceRule, *, testers_only: bool = False, suppressed: str | None = None
    ) -> int:
        return sum(
            row.org == org
            and rule.admits(row)
            and (row.tester or not testers_only)
            and (suppressed is None or suppression(row) == suppressed)
            for row in self.rows.values()
        )


class InMemoryMarks:
    """The port `AudienceMarks` in a list."""

    def __init__(self) -> None:
        self.rows: list[Mark] = []
        self._made = 0

    async def add(self, tx: Tx, org: str) -> None:
        self._made += 1
        mark = Mark(f"{self._made:06}", org)
        staged(tx, lambda: self.rows.append(mark))

    async def read(self, limit: int) -> list[Mark]:
        return self.rows[:limit]

    async def remove(self, marks: Sequence[Mark]) -> None:
        self.rows = [row for row in self.rows if row not in marks]


class InMemoryCampaigns:
    """The port `CampaignAudiences` in two dictionaries."""

    def __init__(self) -> None:
        self.known: dict[str, KnownCampaign] = {}
        self.counts: dict[str, tuple[int, int | None]] = {}

    async def note(self, tx: Tx, campaign: KnownCampaign) -> bool:
        before = self.known.get(campaign.campaign_id)
        if before is not None and before.sequence > campaign.sequence:
            return False
        if campaign.audience is None:
            campaign = replace(campaign, audience=before.audience if before else AudienceDefinition())
        noted = campaign

        def effect() -> None:
            self.known[noted.campaign_id] = noted
            self.counts.setdefault(noted.campaign_id, (0, None))

        staged(tx, effect)
        return True

    async def status(self, tx: Tx, campaign_id: str) -> str | None:
        known = self.known.get(campaign_id)
        if known is None:
            return None
        return "cancelled" if known.deleted else known.status

    async def counted(self, org: str, *, after_id: str, limit: int) -> list[CampaignAudience]:
        found = [
            CampaignAudience(
                key, org, row.audience or AudienceDefinition(), self.counts[key][1], self.counts[key][0]
            )
            for key, row in sorted(self.known.items())
            if row.org == org
            and key > after_id
            and not row.deleted
            and row.status not in ("completed", "cancelled")
        ]
        return found[:limit]

    async def set_counts(self, tx: Tx, counts: Mapping[str, tuple[int, int]]) -> list[str]:
        stored = [key for key, (revision, _) in counts.items() if self.counts[key][0] == revision]
        staged(tx, lambda: self.counts.update({key: (counts[key][0] + 1, counts[key][1]) for key in stored}))
        return stored


@dataclass
class AudienceWorld:
    """Every port of the audience, in memory."""

    contacts: InMemoryContacts = field(default_factory=InMemoryContacts)
    marks: InMemoryMarks = field(default_factory=InMemoryMarks)
    campaigns: InMemoryCampaigns = field(default_factory=InMemoryCampaigns)
    transactions: InMemoryTransactions = field(default_factory=InMemoryTransactions)
    outbox: InMemoryOutbox = field(default_factory=InMemoryOutbox)
    inbox: InMemoryInbox = field(default_factory=InMemoryInbox)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))


@pytest.fixture
def audience() -> AudienceWorld:
    """A fresh world in memory."""
    return AudienceWorld()
