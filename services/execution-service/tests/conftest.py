"""In-memory versions of the audience's ports, held to the same conformance suites as the real ones."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from contracts.events.campaign import AudienceDefinition
from execution_service.application.fold_contacts import FoldContacts
from execution_service.application.measure_audience import MeasureAudience
from execution_service.application.ports import CampaignAudience, Collision, KnownCampaign, Mark
from execution_service.application.ports_audience import ContactChange, StoredChunk
from execution_service.application.ports_import import ImportRecord
from execution_service.domain.audience_columns import CHUNK_SIZE, Chunk
from execution_service.domain.contact import Contact
from execution_service.domain.errors import ImportIdReused, ImportRunning
from execution_service.domain.org_settings import OrgSettings
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
        self.changes = InMemoryChanges()
        self.given = 0

    async def get(self, org: str, contact_id: str, *, tx: Tx | None = None) -> Contact | None:
        return self.rows.get(f"{org}/{contact_id}")

    async def by_ids(self, org: str, ids: Sequence[str], *, tx: Tx | None = None) -> dict[str, Contact]:
        found = {contact_id: self.rows.get(f"{org}/{contact_id}") for contact_id in ids}
        return {contact_id: row for contact_id, row in found.items() if row is not None}

    async def insert(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        placed = [replace(one, ordinal=self.given + place) for place, one in enumerate(contacts, 1)]
        self.given += len(placed)
        await self.replace(tx, placed)

    async def replace(self, tx: Tx, contacts: Sequence[Contact]) -> None:
        rows = {f"{contact.org}/{contact.contact_id}": contact for contact in contacts}
        change = [(contact.ordinal, contact.contact_id) for contact in contacts]
        staged(tx, lambda: self.rows.update(rows))
        staged(tx, lambda: self.changes.add(contacts[0].org, change))

    async def erase(self, tx: Tx, contact: Contact) -> None:
        staged(tx, lambda: self.rows.pop(f"{contact.org}/{contact.contact_id}"))
        staged(tx, lambda: self.changes.add(contact.org, [(contact.ordinal, contact.contact_id)]))


class InMemoryChanges:
    """The port `ContactChanges` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, ContactChange] = {}
        self._made = 0

    def add(self, org: str, contacts: Sequence[tuple[int, str]]) -> None:
        self._made += 1
        change = ContactChange(f"{self._made:06}", org, contacts)
        self.rows[change.change_id] = change

    async def oldest(self, contacts: int) -> list[ContactChange]:
        return list(self.rows.values())[:contacts]

    async def waiting(self, org: str) -> list[str]:
        return [key for key, row in self.rows.items() if row.org == org]

    async def read(self, change_ids: Sequence[str]) -> list[ContactChange]:
        return [self.rows[key] for key in change_ids if key in self.rows]

    async def remove(self, changes: Sequence[ContactChange]) -> None:
        for change in changes:
            self.rows.pop(change.change_id, None)


class InMemoryChunks:
    """The port `AudienceChunks` in a dictionary; transactions run one after the other here."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], StoredChunk] = {}

    async def versions(self, org: str) -> dict[int, int]:
        return {number: row.version for (owner, number), row in sorted(self.rows.items()) if owner == org}

    async def read(
        self, org: str, numbers: Sequence[int], fields: Iterable[str], *, ids: bool = False
    ) -> list[StoredChunk]:
        wanted = set(fields)
        found = [self.rows[org, number] for number in sorted(numbers) if (org, number) in self.rows]
        return [
            StoredChunk(
                row.number,
                row.version,
                Chunk(
                    row.chunk.ids if ids else [],
                    {name: column for name, column in row.chunk.columns.items() if name in wanted},
                ),
            )
            for row in found
        ]

    async def load(self, tx: Tx, org: str, number: int) -> StoredChunk:
        return self.rows.get((org, number), StoredChunk(number, 0, Chunk()))

    async def save(self, tx: Tx, org: str, before: StoredChunk, after: Chunk) -> None:
        stored = StoredChunk(before.number, before.version + 1, after)
        staged(tx, lambda: self.rows.update({(org, before.number): stored}))

    async def last_ordinal(self, org: str) -> int:
        return max((number + 1) * CHUNK_SIZE for owner, number in self.rows if owner == org)


class InMemorySegmentFilters:
    """The port `SegmentFilters` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Mapping[str, object]] = {}

    async def filters_of(self, org: str, segment_ids: Sequence[str]) -> Mapping[str, Mapping[str, object]]:
        return {key: self.rows[org, key] for key in segment_ids if (org, key) in self.rows}


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

    async def audience_of(self, org: str, campaign_id: str) -> AudienceDefinition | None:
        known = self.known.get(campaign_id)
        return known.audience if known and known.org == org and not known.deleted else None

    async def set_counts(self, tx: Tx, counts: Mapping[str, tuple[int, int]]) -> list[str]:
        stored = [key for key, (revision, _) in counts.items() if self.counts[key][0] == revision]
        staged(tx, lambda: self.counts.update({key: (counts[key][0] + 1, counts[key][1]) for key in stored}))
        return stored


class InMemoryImports:
    """The port `Imports` in a dictionary."""

    def __init__(self) -> None:
        self.rows: dict[str, tuple[str, ImportRecord]] = {}

    async def begin(
        self, org: str, import_id: str, *, fingerprint: str, owner: str, now: datetime, until: datetime
    ) -> ImportRecord:
        key = f"{org}/{import_id}"
        record = ImportRecord(org, import_id, "running", owner, until, now, now)
        if key in self.rows:
            known, found = self.rows[key]
            if known != fingerprint and (found.line or found.status == "completed"):
                raise ImportIdReused
            if found.status == "completed":
                return found
            if found.status == "running" and found.expires_at > now:
                raise ImportRunning
            record = replace(found, status="running", owner=owner, expires_at=until)
        self.rows[key] = fingerprint, record
        return record

    async def advance(self, tx: Tx, record: ImportRecord) -> None:
        self._check(record)
        staged(tx, lambda: self._put(record))

    async def renew(self, record: ImportRecord, *, until: datetime) -> None:
        self._check(record)
        key = f"{record.org}/{record.import_id}"
        self._put(replace(self.rows[key][1], expires_at=until))

    async def close(self, record: ImportRecord) -> None:
        self._check(record)
        self._put(record)

    async def get(self, org: str, import_id: str) -> ImportRecord | None:
        found = self.rows.get(f"{org}/{import_id}")
        return found[1] if found else None

    def _check(self, record: ImportRecord) -> None:
        found = self.rows[f"{record.org}/{record.import_id}"][1]
        if (found.owner, found.status) != (record.owner, "running"):
            raise ImportRunning

    def _put(self, record: ImportRecord) -> None:
        key = f"{record.org}/{record.import_id}"
        self.rows[key] = self.rows[key][0], record


class InMemorySettings:
    """The port `StoredSettings` in a dictionary; also the one for reading."""

    def __init__(self) -> None:
        self.rows: dict[str, OrgSettings] = {}

    async def of(self, org: str, *, tx: Tx | None = None) -> OrgSettings:
        return self.rows.get(org, OrgSettings(org))

    async def put(self, tx: Tx, settings: OrgSettings) -> None:
        if (await self.of(settings.org)).version != settings.version - 1:
            raise Collision
        staged(tx, lambda: self.rows.update({settings.org: settings}))


@dataclass
class AudienceWorld:
    """Every port of the audience, in memory."""

    contacts: InMemoryContacts = field(default_factory=InMemoryContacts)
    marks: InMemoryMarks = field(default_factory=InMemoryMarks)
    imports: InMemoryImports = field(default_factory=InMemoryImports)
    campaigns: InMemoryCampaigns = field(default_factory=InMemoryCampaigns)
    transactions: InMemoryTransactions = field(default_factory=InMemoryTransactions)
    outbox: InMemoryOutbox = field(default_factory=InMemoryOutbox)
    inbox: InMemoryInbox = field(default_factory=InMemoryInbox)
    clock: FixedClock = field(default_factory=lambda: FixedClock(NOW))
    chunks: InMemoryChunks = field(default_factory=InMemoryChunks)
    segments: InMemorySegmentFilters = field(default_factory=InMemorySegmentFilters)
    org_settings: InMemorySettings = field(default_factory=InMemorySettings)

    def __post_init__(self) -> None:
        self.changes = self.contacts.changes
        self.fold = FoldContacts(
            changes=self.changes,
            chunks=self.chunks,
            contacts=self.contacts,
            marks=self.marks,
            transactions=self.transactions,
        )
        self.measure = MeasureAudience(chunks=self.chunks, fold=self.fold, catch_up_seconds=10)


@pytest.fixture
def audience() -> AudienceWorld:
    """A fresh world in memory."""
    return AudienceWorld()
